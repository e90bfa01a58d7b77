"""Formats of API gateways: bytes in, rows of `requests` and `rejects` out.

Owns how each gateway writes an access-log record and what its fields mean (units, which instant,
what is absent). Refuses to open sockets or files, and to name APIs or consumers: `collector/naming`
does. One file per format; `lines.py` is the loop they share, `registry.py` lists them. Open
`nginx.py` first.
"""

from collector.gateways.registry import GATEWAY_FORMATS, gateway_format

__all__ = ["GATEWAY_FORMATS", "gateway_format"]
