"""`series`: a stable 64-bit hash that two data points share when name, resource, scope and
attributes are the same, in whatever order the attributes came.

Same on every machine and in every version: stored rows are joined by it. Texts are hashed eight
bytes at a time with the finaliser of MurmurHash3 (fmix64) between words; pairs of a row are summed.
"""

from __future__ import annotations

import numba
import numpy as np
import numpy.typing as npt
from numba.core import types

from collector.otlp.arrow import Pairs, Source
from collector.otlp.body import Ints
from collector.otlp.machine import BYTES, INTS, address_of, kernel, read8, read64
from collector.otlp.text import LENGTH_MASK

_U64S = types.Array(types.uint64, 1, "C")
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


@numba.njit(inline="always", nogil=True)
def _mix(word):  # type: ignore[no-untyped-def]
    word ^= word >> np.uint64(33)
    word *= np.uint64(0xFF51AFD7ED558CCD)
    word ^= word >> np.uint64(33)
    word *= np.uint64(0xC4CEB9FE1A85EC53)
    return word ^ (word >> np.uint64(33))


@numba.njit(inline="never", nogil=True)
def _hash(place, size):  # type: ignore[no-untyped-def]
    state = _GOLDEN + np.uint64(size)
    end = place + size
    while place + 8 <= end:
        state = _mix(state ^ read64(place))
        place += 8
    tail = np.uint64(0)
    for i in range(end - place):
        tail |= read8(place + i) << np.uint64(8 * i)
    return _mix(state ^ tail)


@kernel(types.void(BYTES, BYTES, INTS, INTS, _U64S))
def _add_hashes(buf, aux, references, rows, out):  # type: ignore[no-untyped-def]
    """out[rows[i]] += hash of pair i: key and value lie beside one another in `references`."""
    split = len(buf)
    memory, rendered = address_of(buf), address_of(aux) - split
    for i in range(len(rows)):
        state = np.uint64(0)
        for j in (2 * i, 2 * i + 1):
            reference = references[j]
            if reference < 0:
                state = _mix(state + _GOLDEN)
                continue
            at = reference >> 32
            size = reference & LENGTH_MASK
            state = _mix(state + _hash(at + (memory if at < split else rendered), size))
        out[rows[i]] += state


def pair_hashes(source: Source, pairs: Pairs) -> npt.NDArray[np.uint64]:
    """Per row of the pairs' table: a hash of its keys and values, whatever their order."""
    out = np.zeros(pairs.count, dtype=np.uint64)
    both = np.empty(2 * len(pairs.rows), dtype=np.int64)
    both[0::2] = pairs.keys
    both[1::2] = pairs.values
    _add_hashes(source.data, source.aux, both, pairs.rows, out)
    return out


def text_hashes(source: Source, first: Ints, second: Ints) -> npt.NDArray[np.uint64]:
    """A hash of two texts per row, in this order."""
    return pair_hashes(source, Pairs(np.arange(len(first)), first, second, len(first)))


def combine(left: npt.NDArray[np.uint64], right: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Both, order mattering."""
    word = left * _GOLDEN + right
    word ^= word >> np.uint64(33)
    word *= np.uint64(0xFF51AFD7ED558CCD)
    word ^= word >> np.uint64(33)
    result: npt.NDArray[np.uint64] = word
    return result
