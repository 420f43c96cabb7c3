"""Ties: the sums of t**3 - t that lower the variance of a rank sum."""

from typing import Any

from numpy.typing import NDArray

from scpdex.kernels._compile import inner_kernel


@inner_kernel
def cubed_minus(t: Any) -> Any:
    """Give what a tie of ``t`` cells adds to the tie sum."""
    return t * t * t - t


@inner_kernel
def complete_tie_sums(zeros: NDArray[Any], reference: int, ties: Any, tie_sums: NDArray[Any]) -> None:
    """Complete the tie sums of a gene from ``ties``, that of the cells that count, zeros among them.

    Against the rest that is all there is. Against a reference ``tie_sums`` holds by how much each group's other values
    raise it, and its zeros, which join those of the reference, are still to come.
    """
    if tie_sums.size > 0:
        if reference < 0:
            tie_sums[0] = ties
        else:
            joined = tie_sums.dtype.type(zeros[reference])
            for code in range(tie_sums.size):
                with_group = joined + tie_sums.dtype.type(zeros[code])
                tie_sums[code] += ties + (cubed_minus(with_group) - cubed_minus(joined))
