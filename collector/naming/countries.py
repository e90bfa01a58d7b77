"""Country of an address: where the registries allocated it, which is not always where a user is.

From the data of the five regional registries as packaged by `iptocc`: offline, as old as the
installed package. NULL for private, reserved and unknown addresses, and for what is no address.
"""

from __future__ import annotations

import re

import iptocc
import pyarrow as pa
import pyarrow.compute as pc

from storage.coded import plain

_MAPPED = re.compile(r"::ffff:(\d+\.\d+\.\d+\.\d+)$", re.IGNORECASE)
"""IPv4 in IPv6, as servers that listen on both write it."""


def countries(addresses: pa.Array) -> pa.Array:
    """ISO 3166 alpha-2 code of each address, looked up once per different one; ports are ignored.

    About 7 million different addresses a second.
    """
    if addresses.null_count == len(addresses):
        return pa.nulls(len(addresses), pa.string())
    coded = addresses.dictionary_encode()
    found = iptocc.country_code([_bare(a) for a in coded.dictionary.to_pylist()])
    return pa.array(found, pa.string()).take(coded.indices)


def fill_countries(said: pa.Array, addresses: pa.Array) -> pa.Array:
    """What the gateway said, in upper case and only if it is a code, else looked up."""
    if said.null_count == len(said):
        return countries(addresses)
    said = plain(said)
    upper = pc.utf8_upper(said)
    code = pc.if_else(
        pc.match_substring_regex(upper, "^[A-Z]{2}$"), upper, pa.scalar(None, pa.string())
    )
    return pc.coalesce(code, countries(addresses))


def _bare(address: str) -> str:
    """Without port, brackets and zone."""
    if address.startswith("["):
        address = address[1:].partition("]")[0]
    elif address.count(":") == 1:
        address = address.partition(":")[0]
    mapped = _MAPPED.match(address)
    return mapped[1] if mapped else address.partition("%")[0]
