"""JSON objects, one per line: what has no protocol of its own.

Objects with the keys of a gateway's access log become requests, all others logs. A line that is
no object is a row of `rejects`.
"""

from __future__ import annotations

import orjson

from collector.otlp.logs import Logs
from collector.payload import Payload
from collector.receivers.documents import read_document
from collector.receivers.envelopes import Envelopes
from collector.receivers.gateway_records import NAME_FIELD, gateway_of, named_gateway
from collector.receivers.otlp_wire import to_json
from collector.receivers.translated import Reject, TranslatedFormat, Translation


def translate_json_lines(payload: Payload) -> Translation:
    """Refuses no body; an array on a line stands for its items."""
    found = Translation()
    logs = Envelopes()
    for position, line in enumerate(payload.body.split(b"\n"), 1):
        if not line.strip():
            continue
        try:
            value = orjson.loads(line)
        except orjson.JSONDecodeError:
            found.rejects.append(Reject(position, "bad_json", "The line is not valid JSON.", line))
            continue
        for record in value if isinstance(value, list) else (value,):
            if not isinstance(record, dict):
                detail = "Expected a JSON object."
                found.rejects.append(Reject(position, "not_an_object", detail, line))
                continue
            gateway = named_gateway(record.get(NAME_FIELD)) or gateway_of(record)
            if gateway is not None:
                found.gateway(gateway).add(position, to_json(record))
            else:
                logs.add(read_document(record, received_ns=payload.received_unix_nano))
    found.otlp = logs.encode()
    return found


JSON_LINES_SNIPPET = """\
curl --data-binary @events.ndjson http://127.0.0.1:4318/ingest/json_lines
# over TCP (lines) and UDP (one object per datagram), in gatelens.toml:
[collector]
listeners = ["json+tcp://127.0.0.1:5140", "json+udp://127.0.0.1:5141?format=kong"]
# Kong: plugins tcp-log and udp-log with that host and port
"""

JSON_LINES = TranslatedFormat(
    name="json_lines",
    signal=Logs,
    translate=translate_json_lines,
    dedupe=False,
    description=(
        "JSON objects, one per line, over HTTP, TCP, or one per UDP datagram. Become logs; objects "
        "that are a gateway's access-log records become requests."
    ),
    snippet=JSON_LINES_SNIPPET,
)
