"""AWS X-Ray trace headers: `Root=1-58337262-36d228ad5d99923122bbe354` -> 32 hex digits."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc


def xray_trace_ids(headers: pa.Array) -> pa.Array:
    """Trace ids; NULL where there is no X-Ray root."""
    found = pc.extract_regex(
        headers, r"(?:^|Root=|;)1-(?P<time>[0-9a-fA-F]{8})-(?P<unique>[0-9a-fA-F]{24})"
    )
    parts = pc.struct_field(found, "time"), pc.struct_field(found, "unique")
    return pc.utf8_lower(pc.binary_join_element_wise(*parts, ""))
