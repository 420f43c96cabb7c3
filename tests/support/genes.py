"""Genes: keys and group boundaries of one gene, as kernels take them."""

import numpy as np

from scpdex.kernels import keys as k
from scpdex.kernels.moments import group_moments, moments_of_rest


def make_gene(values: np.ndarray, codes: np.ndarray, n_codes: int) -> tuple[np.ndarray, np.ndarray]:
    """Keys of the non-zero values group by group, and where each group ends."""
    order = np.argsort(codes, kind="stable")
    order = order[values[order] != 0]
    unsigned = k.key_dtype(values.dtype)
    bits = values[order].astype(f"f{unsigned.itemsize}").view(unsigned)
    sign = unsigned.type(1) << unsigned.type(8 * unsigned.itemsize - 1)
    keys = np.where(bits & sign, ~bits, bits | sign)
    return keys, np.cumsum(np.bincount(codes[order], minlength=n_codes)).astype(np.uint32)


def moments_of_gene(values: np.ndarray, codes: np.ndarray) -> tuple[np.ndarray, ...]:
    sizes = np.bincount(codes).astype(np.int64)
    keys, ends = make_gene(values, codes, sizes.size)
    means, squares = np.empty((1, sizes.size)), np.empty((1, sizes.size))
    group_moments(keys, np.zeros(1, dtype=np.int64), ends[None], sizes, means, squares)
    rest_means, rest = np.empty_like(means), np.empty_like(squares)
    moments_of_rest(sizes, means, squares, np.empty((sizes.size, 3)), rest_means, rest)
    return means[0], squares[0], rest_means[0], rest[0]
