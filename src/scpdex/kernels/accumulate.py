"""Accumulate: sums of each gene and group that are kept while pieces of rows pass by, in cell order.

A piece is that of :mod:`scpdex.kernels.transpose`. Each kernel takes the genes from ``first`` on, as many as its
arrays have, so that threads share the genes of a piece and every sum is added up by one of them.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from scpdex.kernels._compile import kernel
from scpdex.kernels.keys import to_real


@kernel
def add_values(
    keys: NDArray[Any],
    codes: NDArray[Any],
    indptr: NDArray[Any],
    first: int,
    nonzero: NDArray[Any],
    sums: NDArray[Any],
    not_finite: NDArray[Any],
    counts: NDArray[Any],
    highest: NDArray[Any],
) -> None:
    """Add a piece to the non-zeros and sums of each gene and group.

    ``not_finite`` counts NaN and infinite values, ``counts`` tells whether all values are whole and none is negative,
    ``highest`` is the highest value: each of a gene.
    """
    for g in range(sums.shape[0]):
        for p in range(np.uint64(indptr[first + g]), np.uint64(indptr[first + g + 1])):
            value = np.float64(to_real(keys[p]))
            code = np.uint64(codes[p])
            nonzero[g, code] += 1
            sums[g, code] += value
            not_finite[g] += not np.isfinite(value)
            counts[g] &= (value >= 0) & (value == np.floor(value)) & np.isfinite(value)
            highest[g] = max(highest[g], value)


@kernel
def add_expm1(
    keys: NDArray[Any], codes: NDArray[Any], indptr: NDArray[Any], first: int, scale: float, sums: NDArray[Any]
) -> None:
    """Add ``expm1(scale * value)`` to the sums of each gene and group."""
    for g in range(sums.shape[0]):
        for p in range(np.uint64(indptr[first + g]), np.uint64(indptr[first + g + 1])):
            sums[g, np.uint64(codes[p])] += np.expm1(scale * np.float64(to_real(keys[p])))


@kernel
def add_deviations(
    keys: NDArray[Any],
    codes: NDArray[Any],
    indptr: NDArray[Any],
    first: int,
    means: NDArray[Any],
    residuals: NDArray[Any],
    squares: NDArray[Any],
) -> None:
    """Add the deviations from the means, and their squares, to those of each gene and group.

    A mean of NaN says that these are settled.
    """
    for g in range(means.shape[0]):
        for p in range(np.uint64(indptr[first + g]), np.uint64(indptr[first + g + 1])):
            code = np.uint64(codes[p])
            mean = means[g, code]
            if not np.isnan(mean):
                deviation = to_real(keys[p]) - mean
                residuals[g, code] += deviation
                squares[g, code] += deviation * deviation


@kernel
def tally_values(
    keys: NDArray[Any],
    codes: NDArray[Any],
    indptr: NDArray[Any],
    first: int,
    places: NDArray[Any],
    n_places: int,
    starts: NDArray[Any],
    tallies: NDArray[Any],
) -> None:
    """Count how often each whole number occurs in each gene, apart for each of ``n_places``.

    ``starts`` says where in ``tallies`` those of each gene start, and where the last ends. ``places`` says for each
    code where it is counted, or -1.
    """
    for g in range(starts.size - 1):
        width = (starts[g + 1] - starts[g]) // n_places
        for p in range(np.uint64(indptr[first + g]), np.uint64(indptr[first + g + 1])):
            place = np.int64(places[np.uint64(codes[p])])
            if place >= 0:
                tallies[np.uint64(starts[g] + place * width + np.int64(to_real(keys[p])))] += np.uint32(1)


@kernel
def add_worths(
    keys: NDArray[Any],
    codes: NDArray[Any],
    indptr: NDArray[Any],
    first: int,
    starts: NDArray[Any],
    worths: NDArray[Any],
    twice_u: NDArray[Any],
) -> bool:
    """Add what each value is worth to its group's ``twice_u``; ``worths`` are laid out by gene as ``starts`` says.

    Tells whether all values have their place there, as they must unless they were changed since they were counted.
    """
    for g in range(twice_u.shape[0]):
        width = starts[g + 1] - starts[g]
        for p in range(np.uint64(indptr[first + g]), np.uint64(indptr[first + g + 1])):
            value = to_real(keys[p])
            if not (value >= 0 and value < width):
                return False
            twice_u[g, np.uint64(codes[p])] += worths[np.uint64(starts[g] + np.int64(value))]
    return True
