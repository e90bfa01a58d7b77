"""Log records: slots of the scanner -> columns of the `logs` table."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from collector.otlp.arrow import body_ids, micros, number_array, string_array, text_array
from collector.otlp.attributes import Attributes
from collector.otlp.body import Body, Ints
from collector.otlp.plan import LOGS
from collector.otlp.quick import QuickCheck
from collector.otlp.records import Signal
from collector.otlp.shared import Shared
from storage.schemas import TIMESTAMP


class Logs(Signal):
    """A record with time 0 has its observed time, with neither that of reception. An id of the
    wrong length is as if it were absent (logs.proto: "assume that the log record is not associated
    with a trace"), and a severity outside 1-24 is NULL."""

    name = "otlp_logs"
    table = "logs"
    source = "otlp_log"
    plan = LOGS
    quick = QuickCheck(LOGS, times=("time_unix_nano", "observed_time_unix_nano"))
    shown = ("service_name", "severity_text", "event_name", "trace_id", "span_id")

    def times(self, body: Body, received: Ints) -> Ints:
        time = body.column("record", "time_unix_nano")
        observed = body.column("record", "observed_time_unix_nano")
        return np.where(time != 0, time, np.where(observed != 0, observed, received))

    def scopes(self, body: Body) -> Ints:
        return body.owner_rows("record")

    def columns(self, attributes: Attributes, shared: Shared) -> dict[str, pa.Array]:
        body, source = attributes.body, shared.source
        observed = body.column("record", "observed_time_unix_nano")
        severity = body.column("record", "severity_number")
        known = (severity >= 1) & (severity <= 24)
        everywhere = np.ones(1, dtype=np.bool_)
        columns = {
            "observed_time": number_array(micros(observed), TIMESTAMP, observed != 0),
            "severity_number": number_array(severity.astype(np.int8), pa.int8(), known),
            "body": string_array(source, attributes.bodies),
            "trace_id": body_ids(body, "record", "trace_id", 16),
            "span_id": body_ids(body, "record", "span_id", 8),
            "attributes": attributes.of("record").maps(source),
        }
        for name in ("severity_text", "event_name"):
            columns[name] = text_array(source, body.column("record", name))
        for name in ("flags", "dropped_attributes_count"):
            values = body.column("record", name).astype(np.uint32)
            columns[name] = number_array(values, pa.uint32(), everywhere)
        return columns
