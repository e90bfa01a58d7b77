"""Words and numbers for severity, as OTLP counts them (1-24)."""

from __future__ import annotations

_BY_WORD = {
    "trace": 1, "verbose": 1, "debug": 5, "dbg": 5, "info": 9, "information": 9, "informational": 9,
    "notice": 10, "warn": 13, "warning": 13, "error": 17, "err": 17, "eror": 17, "critical": 21,
    "crit": 21, "fatal": 21, "panic": 21, "alert": 22, "emerg": 24, "emergency": 24,
}  # fmt: skip

_BY_SYSLOG = (24, 22, 21, 17, 13, 10, 9, 5)
"""By syslog severity 0 to 7 (RFC 5424, 6.2.1)."""

SYSLOG_WORDS = ("emerg", "alert", "crit", "err", "warning", "notice", "info", "debug")


def severity_number(word: str) -> int:
    """0 = unknown."""
    return _BY_WORD.get(word.strip().lower(), 0)


def syslog_severity(severity: int) -> int:
    """`severity`: 0 to 7."""
    return _BY_SYSLOG[severity]
