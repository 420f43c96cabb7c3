"""Prefetch: load memory ahead of its use, where the processor cannot predict the next access."""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, overload

_READ, _KEEP, _DATA = 0, 3, 1


def prefetch(array, i):
    """Begin to load the cache line of an element, which need not exist, without waiting; plain Python does nothing."""


@overload(prefetch, inline="always")
def _prefetch(array, i):
    return lambda array, i: _prefetch_line(array, i)


@intrinsic
def _prefetch_line(context, array, i):
    def generate(context, builder, signature, arguments):
        element = cgutils.get_item_pointer(
            context,
            builder,
            signature.args[0],
            context.make_array(signature.args[0])(context, builder, arguments[0]),
            [arguments[1]],
            wraparound=False,
        )
        pointer, integer = ir.IntType(8).as_pointer(), ir.IntType(32)
        takes = ir.FunctionType(ir.VoidType(), [pointer, integer, integer, integer])
        instruction = builder.module.declare_intrinsic("llvm.prefetch", [pointer], takes)
        how = [integer(_READ), integer(_KEEP), integer(_DATA)]
        builder.call(instruction, [builder.bitcast(element, pointer), *how])
        return context.get_dummy_value()

    return types.void(array, types.uint64), generate
