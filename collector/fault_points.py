"""Named places where tests make things go wrong; in production each costs one falsy check.

Armed by the environment variable FAULTS_IN_GATELENS, read once at import, or by `arm()`:

    name=action@n[,name=action@n ...]     the n-th hit (from 1); `@n+` = the n-th and all later

Actions: kill (SIGKILL to this process), eio, enospc (OSError), crash (RuntimeError).
"""

from __future__ import annotations

import errno
import os
import signal
import threading
from dataclasses import dataclass

VARIABLE = "FAULTS_IN_GATELENS"
"""Not GATELENS_...: those are settings, and unknown ones are refused."""


@dataclass(slots=True)
class _Fault:
    action: str
    at: int
    onwards: bool
    hits: int = 0


_lock = threading.Lock()
_armed: dict[str, _Fault] = {}


def arm(text: str) -> None:
    """Arm what `text` says, in place of what was armed before; '' disarms everything."""
    faults: dict[str, _Fault] = {}
    for part in filter(None, text.split(",")):
        name, _, what = part.partition("=")
        action, _, at = what.partition("@")
        onwards = at.endswith("+")
        faults[name.strip()] = _Fault(action, int(at.rstrip("+") or 1), onwards)
    with _lock:
        _armed.clear()
        _armed.update(faults)


def hit(name: str) -> None:
    """Pass the named place; whatever is armed for it happens."""
    if not _armed:
        return
    with _lock:
        fault = _armed.get(name)
        if fault is None:
            return
        fault.hits += 1
        due = fault.hits == fault.at or (fault.onwards and fault.hits > fault.at)
    if due:
        _strike(name, fault.action)


def _strike(name: str, action: str) -> None:
    if action == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if action in ("eio", "enospc"):
        code = errno.EIO if action == "eio" else errno.ENOSPC
        raise OSError(code, os.strerror(code), f"fault point {name}")
    raise RuntimeError(f"fault point {name}")


arm(os.environ.get(VARIABLE, ""))
