"""Ties: the sums of t**3 - t over ties of t cells, which lower the variance of a rank sum."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from scpdex.kernels._compile import inner_kernel, kernel


@inner_kernel
def tie_term(t: Any) -> Any:
    """Compute the term of a tie of ``t`` cells: t**3 - t."""
    return t * t * t - t


@inner_kernel
def rise_of_tie_term(t: Any, n: Any) -> Any:
    """Compute by how much ``n`` cells that join a tie of ``t`` raise its term: (t + n)**3 - (t + n) - (t**3 - t)."""
    return 3 * t * n * (t + n) + tie_term(n)


@inner_kernel
def term_of(n: Any, tie_sums: NDArray[Any] | None) -> Any:
    """Compute the term of a tie of ``n`` cells, in the dtype of ``tie_sums``; 0 where these are not asked for."""
    # Numba compiles only the branch for the type of tie_sums.
    if tie_sums is None:
        return np.int64(0)
    return tie_term(tie_sums.dtype.type(n))


def complete_tie_sums(
    zeros: NDArray[np.int64], reference: int | None, ties: NDArray[Any], tie_sums: NDArray[Any]
) -> None:
    """Complete the tie sums, given ``ties``, for each gene the tie sum of the counted cells with their zeros.

    Against the rest that is the result. Against a reference, ``tie_sums`` holds by how much the non-zero values of each
    group raise it; this adds the zeros of the group, which join those of the reference.
    """
    if reference is None:
        tie_sums[:, 0] = ties
    else:
        _join_zeros(zeros, reference, ties, tie_sums)


@kernel
def _join_zeros(zeros: NDArray[Any], reference: int, ties: NDArray[Any], tie_sums: NDArray[Any]) -> None:
    for g in range(tie_sums.shape[0]):
        reference_zeros = tie_sums.dtype.type(zeros[g, reference])
        for code in range(tie_sums.shape[1]):
            rise = rise_of_tie_term(reference_zeros, tie_sums.dtype.type(zeros[g, code]))
            tie_sums[g, code] += ties[g] + rise
