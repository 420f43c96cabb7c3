"""Ties: the sums of t**3 - t over ties of t cells, which lower the variance of a rank sum."""

from typing import Any

from numpy.typing import NDArray

from scpdex.kernels._compile import inner_kernel


@inner_kernel
def tie_term(t: Any) -> Any:
    """Compute the term of a tie of ``t`` cells: t**3 - t."""
    return t * t * t - t


@inner_kernel
def complete_tie_sums(zeros: NDArray[Any], reference: int, ties: Any, tie_sums: NDArray[Any]) -> None:
    """Complete the tie sums of a gene, given ``ties``, the tie sum of the counted cells with their zeros.

    Against the rest that is the result. Against a reference, ``tie_sums`` holds by how much the non-zero values of each
    group raise it; this adds the zeros of the group, which join those of the reference.
    """
    if tie_sums.size > 0:
        if reference < 0:
            tie_sums[0] = ties
        else:
            reference_zeros = tie_sums.dtype.type(zeros[reference])
            for code in range(tie_sums.size):
                with_group = reference_zeros + tie_sums.dtype.type(zeros[code])
                tie_sums[code] += ties + (tie_term(with_group) - tie_term(reference_zeros))
