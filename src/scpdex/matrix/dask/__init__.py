"""Dask: arrays in chunks, computed on this machine or on a cluster."""
