"""Memory: matrices in memory as sources of gene blocks."""
