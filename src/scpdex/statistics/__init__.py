"""Statistics: from the sums of each gene and group to scores, p-values and fold changes; one file for each test."""
