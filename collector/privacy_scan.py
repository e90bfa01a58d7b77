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

Bools = npt.NDArray[np.bool_]

_BLOCK = 64
"""Bytes looked at together; the compiler turns such a loop into a few vector instructions."""

_MARK = np.zeros(256, dtype=np.bool_)
_MARK[[ord(c) for c in "?&zZkK"]] = True


def with_parameters(values: pa.Array) -> Bools:
    """Which texts hold a `=`."""
    return _by_kernel(_equals, values).view(np.bool_)


def with_secrets(values: pa.Array) -> tuple[Bools, Bools]:
    """Which texts may hold (a query with parameters, the name of a header with a secret)."""
    found = _by_kernel(_telling, values)
    return found & 1 > 0, found & 2 > 0


def _by_kernel(kernel: Any, values: pa.Array) -> npt.NDArray[np.uint8]:
    """One byte per text, 0 for NULL."""
    marks = np.zeros(len(values), dtype=np.uint8)
    if len(values) == values.null_count:
        return marks
    _, offsets, data = values.buffers()
    if data is not None and data.size:
        bounds = np.frombuffer(offsets, dtype=np.int32)[values.offset :]
        kernel(np.frombuffer(data, dtype=np.uint8), bounds[: len(values) + 1], marks)
    if values.null_count:
        marks[values.is_null().to_numpy(zero_copy_only=False)] = 0
    return marks


@numba.njit(cache=True, nogil=True)
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
def _telling(data: Any, offsets: Any, marks: Any) -> None:
    for i in range(marks.size):
        start, end = np.uint64(offsets[i]), np.uint64(offsets[i + 1])
        query = False
        at = start
        while at < end:
            stop = min(at + np.uint64(_BLOCK), end)
            if stop - at == np.uint64(_BLOCK):
                hits = np.uint8(0)
                for j in range(_BLOCK):
                    byte = data[at + np.uint64(j)]
                    low = byte | np.uint8(32)
                    hits |= np.uint8(
                        (low == np.uint8(122)) | (low == np.uint8(107))
                        | (byte == np.uint8(63)) | (byte == np.uint8(38))
                    )  # fmt: skip
                if not hits:
                    at = stop
                    continue
            for here in range(np.int64(at), np.int64(stop)):
                byte = data[here]
                if not _MARK[byte]:
                    continue
                if byte == 63 or byte == 38:
                    query = True
                elif byte | 32 == 122:
                    if _before(data, np.int64(start), here, _UTHORI):
                        marks[i] |= 2
                elif _before(data, np.int64(start), here, _COO):
                    marks[i] |= 2
                else:
                    before = here
                    if here > np.int64(start) and (data[here - 1] == 45 or data[here - 1] == 95):
                        before -= 1
                    if _before(data, np.int64(start), before, _API):
                        marks[i] |= 2
            at = stop
        if query:
            for here in range(np.int64(start), np.int64(end)):
                if data[here] == 61:
                    marks[i] |= 1
                    break
