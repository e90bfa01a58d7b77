"""Loads and stores of eight unaligned bytes for the compiled kernels.

numba has no unaligned access of its own; comparing, checking and copying text eight bytes at a time
is what makes the kernels several times faster than byte loops. Callers keep within the arrays.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numba
from llvmlite import ir
from numba.core import cgutils, types
from numba.core import typing as numba_typing
from numba.extending import intrinsic

signature: Any = numba_typing.signature  # type: ignore[attr-defined]
# mypy sees the two-argument generators; numba drops their first parameter, the typing context.
BYTES = types.Array(types.uint8, 1, "C", readonly=True)
"""Bytes a kernel only reads. Writable arrays convert to it."""
OUT = types.Array(types.uint8, 1, "C")
INTS = types.Array(types.int64, 1, "C")
INTS32 = types.Array(types.int32, 1, "C")
READ_INTS = types.Array(types.int64, 1, "C", readonly=True)
READ_INTS32 = types.Array(types.int32, 1, "C", readonly=True)
"""Of Arrow or of our own making, as the batch has it: a kernel must take both."""
GRID32 = types.Array(types.int32, 2, "C")


compiling_s: list[float] = []
"""Seconds that each kernel took to compile, or to load from the cache."""


def kernel(*signatures: Any) -> Callable[[Any], Any]:
    """Compile at import for exactly these signatures, without the GIL; cached on disk."""

    def compile_now(function: Any) -> Any:
        start = time.perf_counter()
        compiled = numba.njit(list(signatures), cache=True, nogil=True)(function)
        compiling_s.append(time.perf_counter() - start)
        return compiled

    return compile_now


def _pointer(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    array = context.make_array(sig.args[0])(context, builder, args[0])
    index = context.cast(builder, args[1], sig.args[1], types.intp)
    gep: Any = cgutils.gep_inbounds
    return gep(builder, array.data, index)


@intrinsic
def _load64(_: Any, array: Any, index: Any) -> Any:
    """array[index:index + 8] as a little-endian uint64; index + 8 <= len(array)."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        word = ir.IntType(64)
        pointer = builder.bitcast(_pointer(context, builder, sig, args), word.as_pointer())
        value = builder.load(pointer, typ=word)
        value.align = 1
        return value

    return signature(types.uint64, array, index), codegen


@intrinsic
def _store64(_: Any, array: Any, index: Any, value: Any) -> Any:
    """array[index:index + 8] = value, little-endian; index + 8 <= len(array)."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        word = ir.IntType(64)
        pointer = builder.bitcast(_pointer(context, builder, sig, args), word.as_pointer())
        store = builder.store(context.cast(builder, args[2], sig.args[2], types.uint64), pointer)
        store.align = 1
        return context.get_dummy_value()

    return signature(types.void, array, index, value), codegen


@intrinsic
def _address(_: Any, array: Any) -> Any:
    """Where the array's first byte lies."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        data = context.make_array(sig.args[0])(context, builder, args[0]).data
        return builder.ptrtoint(data, ir.IntType(64))

    return signature(types.int64, array), codegen


def _reader(bits: int) -> Any:
    def read(_: Any, address: Any) -> Any:
        """`bits` at an address, little-endian, as a uint64."""

        def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
            word = ir.IntType(bits)
            place = context.cast(builder, args[0], sig.args[0], types.int64)
            value = builder.load(builder.inttoptr(place, word.as_pointer()), typ=word)
            value.align = 1
            return value if bits == 64 else builder.zext(value, ir.IntType(64))

        return signature(types.uint64, address), codegen

    return intrinsic(read)


load64: Any = _load64
store64: Any = _store64
address_of: Any = _address
"""For the helpers of kernels: numba counts references at every call that hands an array on, which
took longer than what the helpers do. The array must outlive the number."""
read8, read16, read32, read64 = (_reader(bits) for bits in (8, 16, 32, 64))
