"""OTLP bodies in, Arrow record batches of the `spans`, `logs` and `metrics` tables out.

Owns the wire format: what is well-formed, what each field becomes, which single records are
refused. It never touches a clock, a socket or a file, and names nothing: APIs, routes and
consumers are `collector/gateways` and `collector/naming`. Open `formats.py` first.
"""

from collector.otlp.formats import OTLP_LOGS, OTLP_METRICS, OTLP_TRACES, OtlpFormat

__all__ = ["OTLP_LOGS", "OTLP_METRICS", "OTLP_TRACES", "OtlpFormat"]
