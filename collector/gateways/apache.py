"""Apache httpd access logs: common, combined, vhost_combined, or a LogFormat of your own.

`%t` is when the request was received = start. `%D` is microseconds, `%T` seconds. `%b` and `%O` are
the response's bytes (`%b`: body only, `-` for none), `%I` the request's.

Source: httpd.apache.org mod_log_config, mod_logio.
"""

from __future__ import annotations

import re

from collector.gateways.escapes import unescaped
from collector.gateways.fields import Fields
from collector.gateways.line_scanner import LineField, LineFormat
from collector.gateways.lines import LinesFormat, LineShape, Read
from collector.gateways.mapped import FieldMap, read_mapped

_MAP = FieldMap(
    time={"time": "clf"},
    instant="start",
    status=("status",),
    durations={"duration_ms": (1e-3, ("us",))},
    texts={
        "host": ("host",),
        "method": ("method",),
        "protocol": ("protocol",),
        "client_address": ("client",),
        "consumer": ("user",),
        "user_agent": ("user_agent",),
        "request_id": ("request_id",),
    },
    counts={"response_bytes": ("bytes", "bytes_out"), "request_bytes": ("bytes_in",)},
    request_line="request",
    target=("path",),
)

_NAMES = {
    "h": "client", "a": "client", "{c}a": "peer", "l": "ident", "u": "user", "t": "time",
    "r": "request", "s": "status", ">s": "status", "<s": "status_first", "b": "bytes",
    "B": "bytes", "O": "bytes_out", "I": "bytes_in", "D": "us", "{us}T": "us", "{ms}T": "ms",
    "T": "seconds", "v": "host", "V": "host", "p": "port", "m": "method", "U": "path",
    "H": "protocol", "{User-Agent}i": "user_agent", "{Host}i": "host", "L": "request_id",
    "{UNIQUE_ID}e": "request_id", "{X-Request-Id}i": "request_id",
}  # fmt: skip
"""Apache's directives by what they are; others are read over."""

_DIRECTIVE = re.compile(r"%(?:[!\d,]*)([<>]?)(?:\{([^}]*)\})?(\^?[a-zA-Z]{1,3}?)(?![a-z])")

_VHOST = r'%v:%p %h %l %u %t "%r" %>s %O "%{Referer}i" "%{User-Agent}i"'
_COMBINED = r'%h %l %u %t "%r" %>s %b "%{Referer}i" "%{User-Agent}i"'
_COMMON = r'%h %l %u %t "%r" %>s %b'


def compile_apache_format(text: str) -> LineFormat:
    """A LogFormat as a LineFormat. Raises ValueError where two fields are not kept apart."""
    text = text.replace('\\"', '"')
    found = list(_DIRECTIVE.finditer(text))
    if not found:
        raise ValueError("a LogFormat needs at least one %directive")
    fields: list[LineField] = []
    for this, following in zip(found, [*found[1:], None], strict=True):
        mark, argument, letter = this.groups()
        key = mark + ("{" + argument + "}" if argument is not None else "") + letter
        end = text[this.end() : following.start() if following else len(text)]
        if letter == "t" and argument is None:
            # %t brings its own brackets.
            if fields:
                last = fields[-1]
                fields[-1] = LineField(last.name, last.end + b"[", last.kind)
            end = "]" + end
        if following is not None and not end:
            raise ValueError(f"nothing stands between {this.group(0)} and what follows it")
        fields.append(LineField(_NAMES.get(key, ""), end.encode()))
    start = text[: found[0].start()].encode() + (b"[" if found[0].group(3) == "t" else b"")
    if fields[-1].end:
        fields.append(LineField("", b""))
    return LineFormat(tuple(fields), start)


def read_apache(fields: Fields) -> Read:
    """Fields named by `_NAMES`."""
    by = _MAP
    for name, factor in (("us", 1e-3), ("ms", 1.0), ("seconds", 1e3)):
        if fields.has(name):
            by = FieldMap(
                by.time, by.instant, by.status, {"duration_ms": (factor, (name,))}, by.texts,
                by.counts, by.request_line, by.target,
            )  # fmt: skip
            break
    read = read_mapped(fields, by)
    for name in ("path", "user_agent", "consumer"):
        read.columns[name] = unescaped(read.columns.get(name))
    return read


SNIPPET = """\
# httpd.conf: the usual formats are enough, but say nothing of latency.
LogFormat "%v:%p %h %l %u %t \\"%r\\" %>s %O \\"%{Referer}i\\" \\"%{User-Agent}i\\"" vhost_combined
CustomLog /var/log/apache2/access.log vhost_combined
# then: gatelens import apache /var/log/apache2/access.log --follow
# With latency, a format of its own, which the import is told:
LogFormat "%h %l %u %t \\"%r\\" %>s %b \\"%{User-Agent}i\\" %D" timed
# gatelens import apache FILE --log-format '%h %l %u %t "%r" %>s %b "%{User-Agent}i" %D'
"""


def apache_format(log_format: str | None = None) -> LinesFormat:
    """The format, for the usual lines or for a LogFormat of the operator's own."""
    texts = (_VHOST, _COMBINED, _COMMON) if log_format is None else (log_format,)
    return LinesFormat(
        name="apache",
        gateway="apache",
        shapes=tuple(LineShape(compile_apache_format(t), read_apache) for t in texts),
        description="Apache httpd: common, combined, vhost_combined or any LogFormat.",
        snippet=SNIPPET,
    )


APACHE = apache_format()
