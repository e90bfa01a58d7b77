"""Compiled kernels that turn references into Arrow string data.

A reference is offset << 32 | length; -1 is NULL. Offsets count through two buffers: the body, then
`aux`, which holds what was rendered (numbers, JSON). Output buffers have PAD bytes to spare, so
that copies may run over by a word.
"""

from __future__ import annotations

import numba
import numpy as np
from numba.core import types

from collector.otlp.machine import (
    BYTES,
    INTS,
    INTS32,
    OUT,
    address_of,
    kernel,
    load64,
    read8,
    read16,
    read32,
    read64,
    store64,
)

PAD = 8
LENGTH_MASK = 0x7FFFFFFF


@kernel(types.int64(BYTES, BYTES, INTS, INTS32, OUT))
def gather(buf, aux, references, offsets, out):  # type: ignore[no-untyped-def]
    """Put the referenced text one after the other; `offsets` gets Arrow's. Returns the bytes."""
    split = len(buf)
    memory, rendered = address_of(buf), address_of(aux) - split
    of_buf, of_aux = memory + split, rendered + split + len(aux)
    to = np.int64(0)
    offsets[0] = 0
    for i in range(len(references)):
        reference = references[i]
        if reference >= 0:
            at = reference >> 32
            size = reference & LENGTH_MASK
            source = at + (memory if at < split else rendered)
            end = of_buf if at < split else of_aux
            done = np.int64(0)
            # Whole words, up to seven bytes more than there are: `out` has room for them.
            while done < size and source + done + 8 <= end:
                store64(out, to + done, read64(source + done))
                done += 8
            while done < size:
                out[to + done] = np.uint8(read8(source + done))
                done += 1
            to += size
        offsets[i + 1] = to
    return to


_GROUPS = types.Array(types.int32, 1, "C", readonly=True)
_WORDS = types.Array(types.uint64, 1, "C")
_PROBES_MAX = 64


@numba.njit(inline="always", nogil=True)
def _short(place, size):  # type: ignore[no-untyped-def]
    """Fewer than eight bytes as a word; different ones of a size give different words."""
    if size >= 4:
        return read32(place) | read32(place + size - 4) << np.uint64(32)
    if size >= 2:
        return read16(place) | read16(place + size - 2) << np.uint64(16)
    if size == 1:
        return read8(place)
    return np.uint64(0)


@numba.njit(inline="always", nogil=True)
def _hash(place, size, secret):  # type: ignore[no-untyped-def]
    value = secret ^ np.uint64(size)
    if size < 8:
        value = (value ^ _short(place, size)) * secret
    else:
        done = np.int64(0)
        while done + 8 < size:
            value = (value ^ read64(place + done)) * secret
            value ^= value >> np.uint64(29)
            done += 8
        value = (value ^ read64(place + size - 8)) * secret
    # What differs in high bits only must reach the low ones, which choose the slot.
    value = (value ^ value >> np.uint64(32)) * np.uint64(0x9E3779B97F4A7C15)
    return value ^ value >> np.uint64(32)


@numba.njit(inline="always", nogil=True)
def _equal(one, other, size):  # type: ignore[no-untyped-def]
    """Whether `size` bytes at two addresses are alike."""
    if size < 8:
        return _short(one, size) == _short(other, size)
    done = np.int64(0)
    while done + 8 < size:
        if read64(one + done) != read64(other + done):
            return False
        done += 8
    return read64(one + size - 8) == read64(other + size - 8)


@kernel(types.int64(BYTES, BYTES, INTS, _GROUPS, types.uint64, INTS32, _WORDS, INTS, INTS32))
def encode(  # type: ignore[no-untyped-def]
    buf, aux, references, groups, secret, slots, hashes, firsts, codes
):
    """codes[i] = number of the text references[i] points to, in order of first occurrence; 0 where
    it is NULL. firsts[number] = the first reference to it. Returns how many there are.

    -1: more than `firsts` has room for, or texts made to collide: the caller goes without codes.
    `slots`: a power of two of them, all -1, twice as many as `firsts` at least. `secret`: odd.
    `groups`: what the text most likely equals is the one before of its group (of its key); without
    groups, the one that last followed the text before it. Right guesses, which most are, save the
    hash.
    """
    split = np.int64(len(buf))
    memory, rendered = address_of(buf), address_of(aux) - split
    mask = np.uint64(len(slots) - 1)
    count = np.int64(0)
    grouped = len(groups) == len(references)
    guesses = np.full((groups.max() if grouped and len(groups) else len(firsts)) + 2, -1, np.int32)
    group = np.int64(0)
    for i in range(len(references)):
        reference = references[i]
        if reference < 0:
            codes[i] = 0
            continue
        at = reference >> 32
        size = reference & LENGTH_MASK
        place = at + (memory if at < split else rendered)
        if grouped:
            group = np.int64(groups[i])
        number = guesses[group]
        if number >= 0:
            first = firsts[number]
            at = first >> 32
            if first & LENGTH_MASK == size and _equal(
                place, at + (memory if at < split else rendered), size
            ):
                codes[i] = number
                if not grouped:
                    group = np.int64(number) + 1
                continue
        value = _hash(place, size, secret)
        slot = value & mask
        probes = 0
        while True:
            number = slots[slot]
            if number < 0:
                if count == len(firsts):
                    return -1
                number = np.int32(count)
                slots[slot] = number
                hashes[count] = value
                firsts[count] = reference
                count += 1
                break
            if hashes[number] == value:
                first = firsts[number]
                at = first >> 32
                if first & LENGTH_MASK == size and _equal(
                    place, at + (memory if at < split else rendered), size
                ):
                    break
            probes += 1
            if probes > _PROBES_MAX:
                return -1
            slot = (slot + np.uint64(1)) & mask
        codes[i] = number
        guesses[group] = number
        if not grouped:
            group = np.int64(number) + 1
    return count


@numba.njit(inline="always", nogil=True)
def _hex8(word):  # type: ignore[no-untyped-def]
    """Eight hex digits of the low four bytes of `word`, as the eight bytes of a word."""
    word &= np.uint64(0xFFFFFFFF)
    word = (word | word << np.uint64(16)) & np.uint64(0x0000FFFF0000FFFF)
    word = (word | word << np.uint64(8)) & np.uint64(0x00FF00FF00FF00FF)
    low = np.uint64(0x000F000F000F000F)
    digits = (word >> np.uint64(4)) & low | (word & low) << np.uint64(8)
    # Six more carries a digit above nine into its high half: those are letters, 39 further on.
    letters = (digits + np.uint64(0x0606060606060606)) >> np.uint64(4)
    letters &= np.uint64(0x0101010101010101)
    return digits + np.uint64(0x3030303030303030) + letters * np.uint64(39)


@kernel(types.void(BYTES, INTS, types.int64, OUT, OUT))
def hex_ids(buf, references, size, out, valid):  # type: ignore[no-untyped-def]
    """Lower-case hex of ids of `size` bytes (8 or 16); of another length or all zero: not valid."""
    to = np.int64(0)
    for i in range(len(references)):
        at = references[i] >> 32
        valid[i] = 0
        if references[i] & LENGTH_MASK != size:
            continue
        first = load64(buf, at)
        last = load64(buf, at + size - 8)
        if first | last == 0:
            continue
        valid[i] = 1
        store64(out, to, _hex8(first))
        store64(out, to + 8, _hex8(first >> np.uint64(32)))
        if size == 16:
            store64(out, to + 16, _hex8(last))
            store64(out, to + 24, _hex8(last >> np.uint64(32)))
        to += 2 * size


_GRID = types.Array(types.int64, 2, "C")


@kernel(types.void(BYTES, INTS, INTS, INTS, BYTES, INTS, INTS32, INTS32, INTS, _GRID))
def match_keys(  # type: ignore[no-untyped-def]
    buf, keys, values, rows, names, name_at, head, following, hits, found
):
    """found[n, row] = value of the first entry of `row` whose key is name n; -1: no such entry.

    An empty or NULL value is -2. `hits` counts the entries of each name. Names of one length are a
    chain: head[length] -> following[name] -> ... -> -1.
    """
    for i in range(len(keys)):
        size = keys[i] & LENGTH_MASK
        if size >= len(head):
            continue
        name = head[size]
        at = keys[i] >> 32
        while name >= 0:
            start = name_at[name] >> 32
            j = 0
            while j < size and buf[at + j] == names[start + j]:
                j += 1
            if j == size:
                hits[name] += 1
                if found[name, rows[i]] == -1:
                    value = values[i]
                    filled = value >= 0 and value & LENGTH_MASK > 0
                    found[name, rows[i]] = value if filled else -2
                break
            name = following[name]


@kernel(types.void(_GROUPS, INTS, INTS, INTS, INTS, _GRID))
def match_codes(codes, values, rows, numbers, hits, found):  # type: ignore[no-untyped-def]
    """`match_keys` by codes of the keys: numbers[code] is the name, -1 = none of them. What is
    found is the entry's place, not its value."""
    for i in range(len(codes)):
        name = numbers[codes[i]]
        if name < 0:
            continue
        hits[name] += 1
        if found[name, rows[i]] == -1:
            value = values[i]
            found[name, rows[i]] = i if value >= 0 and value & LENGTH_MASK > 0 else -2


@kernel(types.int64(_GROUPS, INTS, INTS32, INTS32, INTS32))
def pick(codes, places, numbers, firsts, picked):  # type: ignore[no-untyped-def]
    """picked[i] = number of codes[places[i]] among those picked, in order of their first; 0 where
    the place is negative. firsts[number] = its code. `numbers`: -1 per code. Returns how many."""
    count = np.int64(0)
    for i in range(len(places)):
        picked[i] = 0
        if places[i] < 0:
            continue
        code = codes[places[i]]
        if numbers[code] < 0:
            numbers[code] = np.int32(count)
            firsts[count] = code
            count += 1
        picked[i] = numbers[code]
    return count


@kernel(types.void(BYTES, BYTES, INTS, types.boolean, INTS))
def url_paths(buf, aux, references, absolute, out):  # type: ignore[no-untyped-def]
    """References of the path in a request target or (absolute) in a URL: no query, no fragment.

    A URL with an authority and no path has the path "/", which is put at the start of `aux`.
    """
    split = len(buf)
    for i in range(len(references)):
        out[i] = references[i]
        if references[i] < 0:
            continue
        at = references[i] >> 32
        size = references[i] & LENGTH_MASK
        source = buf
        base = np.int64(0)
        if at >= split:
            source = aux
            base = np.int64(split)
        start = at - base
        end = start + size
        if absolute:
            j = start
            while j + 3 <= end and not (
                source[j] == 58 and source[j + 1] == 47 and source[j + 2] == 47
            ):
                j += 1
            if j + 3 <= end:
                start = j + 3
                while start < end and source[start] not in (47, 63, 35):
                    start += 1
                if start == end or source[start] != 47:
                    out[i] = (split << 32) | 1
                    continue
        stop = start
        while stop < end and source[stop] != 63 and source[stop] != 35:
            stop += 1
        out[i] = ((start + base) << 32) | (stop - start)


@kernel(types.void(BYTES, BYTES, INTS, INTS))
def small_numbers(buf, aux, references, out):  # type: ignore[no-untyped-def]
    """Numbers written with one to three digits (status codes); -1 for anything else."""
    split = len(buf)
    for i in range(len(references)):
        out[i] = -1
        size = references[i] & LENGTH_MASK
        if references[i] < 0 or size == 0 or size > 3:
            continue
        at = references[i] >> 32
        number = np.int64(0)
        for j in range(at, at + size):
            digit = np.int64(aux[j - split] if j >= split else buf[j]) - 48
            if digit < 0 or digit > 9:
                number = np.int64(-1)
                break
            number = number * 10 + digit
        out[i] = number
