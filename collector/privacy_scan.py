"""Finds the texts that a privacy rule may have to change, at the speed of memory.

Regular expressions are exact and slow. Nearly no text holds anything to redact, so these kernels
pick the candidates: they may name a text too many, never one too few.

    parameters  `?name=…`: a `=`, in log text behind a `?` or `&`
    headers     `authorization`, `cookie`, `api-key`, `api_key`, `apikey` in any case: rare letters
                (`z`, `k`) are looked for in blocks, what stands before them decides
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import numpy.typing as npt
import pyarrow as pa
from numba.core import types

from collector.otlp.machine import BYTES, OUT, READ_INTS32, kernel

Bools = npt.NDArray[np.bool_]

_BLOCK = 64
"""Bytes looked at together; the compiler turns such a loop into a few vector instructions."""


def with_parameters(values: pa.Array) -> Bools:
    """Which texts hold a `=`."""
    return _by_kernel(_equals, values).view(np.bool_)


def with_secrets(values: pa.Array) -> tuple[Bools, Bools]:
    """Which texts may hold (a query with parameters, the name of a header with a secret)."""
    found = _by_kernel(_telling, values)
    return found & 1 > 0, found & 2 > 0


def _by_kernel(scan: Any, values: pa.Array) -> npt.NDArray[np.uint8]:
    """One byte per text, 0 for NULL."""
    marks = np.zeros(len(values), dtype=np.uint8)
    if len(values) == values.null_count:
        return marks
    _, offsets, data = values.buffers()
    if data is not None and data.size:
        bounds = np.frombuffer(offsets, dtype=np.int32)[values.offset :]
        scan(np.frombuffer(data, dtype=np.uint8), bounds[: len(values) + 1], marks)
    if values.null_count:
        marks[values.is_null().to_numpy(zero_copy_only=False)] = 0
    return marks


@kernel(types.void(BYTES, READ_INTS32, OUT))
def _equals(data: Any, offsets: Any, marks: Any) -> None:
    for i in range(marks.size):
        for at in range(offsets[i], offsets[i + 1]):
            if data[at] == 61:
                marks[i] = 1
                break


@numba.njit(cache=True, nogil=True)
def _before(data: Any, start: Any, at: Any, word: Any) -> bool:
    """Whether the lower-case `word` ends right before `at`, in any case, not before `start`."""
    if at - start < word.size:
        return False
    for j in range(word.size):  # noqa: SIM110  (numba compiles no generators)
        if data[at - word.size + j] | 32 != word[j]:
            return False
    return True


_UTHORI = np.frombuffer(b"uthori", dtype=np.uint8)
_COO = np.frombuffer(b"coo", dtype=np.uint8)
_API = np.frombuffer(b"api", dtype=np.uint8)


@numba.njit(cache=True, nogil=True)
def _header(data: Any, start: Any, here: Any) -> bool:
    """Whether the name of a header with a secret has its telling letter at `here`."""
    low = data[here] | 32
    if low == 122:
        return _before(data, start, here, _UTHORI)
    if low != 107:
        return False
    if _before(data, start, here, _COO):
        return True
    before = here
    if here > start and (data[here - 1] == 45 or data[here - 1] == 95):
        before -= 1
    return _before(data, start, before, _API)


@numba.njit(cache=True, nogil=True)
def _ends_telling(data: Any, at: Any) -> bool:
    """Whether the block at `at` has `ook`, `pik`, `-k` or `_k`, as few words have them. Two bytes
    before the block are read. The loop is as short as the compiler needs it to make vectors."""
    found = np.uint8(0)
    for j in range(_BLOCK):
        place = at + np.uint64(j)
        low = data[place] | np.uint8(32)
        last = data[place - np.uint64(1)] | np.uint8(32)
        older = data[place - np.uint64(2)] | np.uint8(32)
        found |= np.uint8(
            (low == np.uint8(107)) & (
                (last == np.uint8(111)) & (older == np.uint8(111))
                | (last == np.uint8(105)) & (older == np.uint8(112))
                | (last == np.uint8(45)) | (last == np.uint8(127))  # 127 is `_` in lower case
            )
        )  # fmt: skip
    return bool(found != 0)


@kernel(types.void(BYTES, READ_INTS32, OUT))
def _telling(data: Any, offsets: Any, marks: Any) -> None:
    for i in range(marks.size):
        start, end = np.int64(offsets[i]), np.int64(offsets[i + 1])
        query = False
        # No name has its telling letter among its first two; from there on both before it exist.
        at = min(start + 2, end)
        for here in range(start, at):
            query |= data[here] == 63 or data[here] == 38
        while at < end:
            stop = min(at + _BLOCK, end)
            look = True
            if stop - at == _BLOCK:
                z, k, asks = np.uint8(0), np.uint8(0), np.uint8(0)
                for j in range(_BLOCK):
                    byte = data[np.uint64(at) + np.uint64(j)]
                    z |= np.uint8(byte | np.uint8(32) == np.uint8(122))
                    k |= np.uint8(byte | np.uint8(32) == np.uint8(107))
                    asks |= np.uint8((byte == np.uint8(63)) | (byte == np.uint8(38)))
                query |= asks != 0
                look = z != 0 or (k != 0 and _ends_telling(data, np.uint64(at)))
            if look:
                for here in range(at, stop):
                    query |= data[here] == 63 or data[here] == 38
                    if _header(data, start, here):
                        marks[i] |= 2
            at = stop
        if query:
            for here in range(start, end):
                if data[here] == 61:
                    marks[i] |= 1
                    break
