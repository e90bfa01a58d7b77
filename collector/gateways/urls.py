"""Targets and URLs as clients wrote them, down to the path; queries and user info stay behind."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

_SCHEME = r"^[A-Za-z][A-Za-z0-9+.-]*://"


def without_query(targets: pa.Array) -> pa.Array:
    """Targets cut before `?` or `#`."""
    return pc.replace_substring_regex(targets, r"(?s)[?#].*", "")


def origin_form(paths: pa.Array) -> pa.Array:
    """`http://host/path` (in absolute URLs, and sent to proxies) as `/path`."""
    absolute = pc.match_substring_regex(paths, _SCHEME)
    if not pc.any(absolute).as_py():
        return paths
    bare = pc.replace_substring_regex(paths, _SCHEME + "[^/]*", "")
    bare = pc.if_else(pc.equal(pc.binary_length(bare), 0), "/", bare)
    return pc.if_else(absolute, bare, paths)


def url_host(urls: pa.Array) -> pa.Array:
    """Host of absolute URLs, lower case, without port and user info; NULL where there is none."""
    found = pc.extract_regex(
        urls, r"^[A-Za-z][A-Za-z0-9+.-]*://(?:[^/@]*@)?(?P<host>\[[^\]]*\]|[^/:?#]+)"
    )
    return pc.utf8_lower(pc.struct_field(found, "host"))
