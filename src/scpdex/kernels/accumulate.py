"""Accumulate: add pieces of rows to the sums of each gene and group, in cell order.

:mod:`scpdex.kernels.transpose` makes the pieces. Each kernel takes the genes from ``first`` on, as many as its arrays
have, so that threads share the genes of a piece and one thread adds up each sum.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from scpdex.kernels._compile import kernel
from scpdex.kernels.keys import to_real
from scpdex.kernels.moments import transform_value


@kernel
def add_values(
    keys: NDArray[Any],
    codes: NDArray[Any],
    indptr: NDArray[Any],
    first: int,
    nonzero: NDArray[Any],
    sums: NDArray[Any],
    not_finite: NDArray[Any],
    are_counts: NDArray[Any],
    highest: NDArray[Any],
) -> None:
    """Add a piece to the numbers of non-zeros and the sums of each gene and group.

    Of each gene, ``not_finite`` counts NaN and infinite values, ``are_counts`` tells whether all values are whole and
    none is negative, and ``highest`` is the highest value.
    """
    for g in range(sums.shape[0]):
        for p in range(np.uint64(indptr[first + g]), np.uint64(indptr[first + g + 1])):
            value = np.float64(to_real(keys[p]))
            code = np.uint64(codes[p])
            nonzero[g, code] += 1
            sums[g, code] += value
            not_finite[g] += not np.isfinite(value)
            are_counts[g] &= (value >= 0) & (value == np.floor(value)) & np.isfinite(value)
            highest[g] = max(highest[g], value)


@kernel
def add_transformed(
    keys: NDArray[Any],
    codes: NDArray[Any],
    indptr: NDArray[Any],
    first: int,
    log_scale: float | None,
    sums: NDArray[Any],
) -> None:
    """Add the transformed values to the sums of each gene and group, see :func:`~.moments.transform_value`."""
    for g in range(sums.shape[0]):
        for p in range(np.uint64(indptr[first + g]), np.uint64(indptr[first + g + 1])):
            sums[g, np.uint64(codes[p])] += transform_value(np.float64(to_real(keys[p])), log_scale)


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
    """Add the deviations from the means, and their squares, to ``residuals`` and ``squares`` of each gene and group.

    A mean of NaN skips its gene and group, whose sums are final.
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
    """Count how often each whole number occurs in each gene, with a tally for each of ``n_places``.

    The tallies of gene ``g`` lie from ``starts[g]`` to ``starts[g + 1]``, one place after the other. ``places`` maps
    each code to its place, or to -1 to skip it.
    """
    for g in range(starts.size - 1):
        width = (starts[g + 1] - starts[g]) // n_places
        for p in range(np.uint64(indptr[first + g]), np.uint64(indptr[first + g + 1])):
            place = np.int64(places[np.uint64(codes[p])])
            if place >= 0:
                tallies[np.uint64(starts[g] + place * width + np.int64(to_real(keys[p])))] += np.uint32(1)


@kernel
def add_twice_midranks(
    keys: NDArray[Any],
    codes: NDArray[Any],
    indptr: NDArray[Any],
    first: int,
    starts: NDArray[Any],
    twice_midranks: NDArray[Any],
    twice_u: NDArray[Any],
) -> bool:
    """Add twice the midrank of each value to its group's ``twice_u``; return whether every value has a midrank.

    ``twice_midranks`` of gene ``g``, by value, lie from ``starts[g]`` to ``starts[g + 1]``. A value beyond these was
    changed since values were counted.
    """
    for g in range(twice_u.shape[0]):
        width = starts[g + 1] - starts[g]
        for p in range(np.uint64(indptr[first + g]), np.uint64(indptr[first + g + 1])):
            value = to_real(keys[p])
            if not (value >= 0 and value < width):
                return False
            twice_u[g, np.uint64(codes[p])] += twice_midranks[np.uint64(starts[g] + np.int64(value))]
    return True
