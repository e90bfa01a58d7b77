"""Outcome of a request from its status code.

0, 499            aborted (the client left)
1xx, 2xx          ok
3xx               redirect
401, 403          unauthorized
429               rate_limited (quota_exceeded where the gateway said so: QEX, quota)
other 4xx         client_error
5xx and others    server_error
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from storage.coded import plain

OUTCOMES = (
    "ok", "redirect", "client_error", "server_error",
    "rate_limited", "quota_exceeded", "unauthorized", "aborted",
)  # fmt: skip


def outcome_of(status: int) -> str:
    """Outcome of one status code."""
    if status in (0, 499):
        return "aborted"
    if status < 300:
        return "ok"
    if status < 400:
        return "redirect"
    if status in (401, 403):
        return "unauthorized"
    if status == 429:
        return "rate_limited"
    return "client_error" if status < 500 else "server_error"


_BY_STATUS = pa.array([outcome_of(s) for s in range(1000)], pa.string()).dictionary_encode()

_QUOTA_FLAGS = r"(?i)\bQEX\b|quota"


def outcomes(status: pa.Array, response_flags: pa.Array) -> pa.Array:
    """Outcomes, coded unless flags say more; NULL where the status is NULL."""
    known = pc.fill_null(pc.and_(pc.greater_equal(status, 0), pc.less(status, 1000)), False)
    index = pc.if_else(known, status, pa.scalar(None, pa.int16()))
    found = pa.DictionaryArray.from_arrays(
        _BY_STATUS.indices.take(index), _BY_STATUS.dictionary, safe=False
    )
    if response_flags.null_count == len(response_flags):
        return found
    found, response_flags = plain(found), plain(response_flags)
    quota = pc.fill_null(pc.match_substring_regex(response_flags, _QUOTA_FLAGS), False)
    refused = np.isin(status.fill_null(-1).to_numpy(zero_copy_only=False), (403, 429))
    return pc.if_else(pc.and_(quota, pa.array(refused)), "quota_exceeded", found)
