"""Kernels: compiled loops over gene blocks; they know numbers and group codes, and no storage or table."""
