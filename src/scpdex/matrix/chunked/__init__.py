"""Chunked: matrices on disk, or in memory, that are read in parts."""
