"""Keeps the roles running: starts each as its own process, restarts the dead, stops all together.

Roles run in sessions of their own, so that Ctrl-C reaches only
the supervisor, which then stops them in order. Should the supervisor itself be killed, the roles
notice (their standard input ends) and stop themselves: no role outlives its supervisor.

A role that dies is started again after RESTART_DELAYS_S; the count starts anew once it has lived
HEALTHY_AFTER_S. A role that ends with EXIT_CANNOT_START before everything was up once (port in use,
folder not writable) ends the whole: trying again would not help.

A role with a `health_url` is asked every HEALTH_EVERY_S. Once it has said yes, HEALTH_FAILURES_MAX
times no in a row (a collector whose disk failed an fsync says so), or HEALTH_SILENCES_MAX times no
answer at all (it hangs; an overloaded one must not be taken for that), make an end of it: SIGTERM,
SIGKILL where that does not help, and the restart of a role that died. So does a role that never
said yes and says no HEALTH_SILENCES_MAX times: it failed before it was first asked.
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import httpx
import structlog

from gatelens.errors import RoleFailed

log = structlog.get_logger(__name__)

RESTART_DELAYS_S = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
"""Wait before the n-th restart in a row; the last one repeats."""

HEALTHY_AFTER_S = 30.0
"""A role that lived this long has recovered: the next restart is quick again."""

STOP_WITHIN_S = 4.5
"""From the signal to the end of all roles; what still runs then is killed."""

HEALTH_EVERY_S = 5.0
"""Time between two questions whether a role is healthy."""

HEALTH_FAILURES_MAX = 3
"""Times a role says in a row that it is not well before it is restarted."""

HEALTH_SILENCES_MAX = 12
"""Times it says nothing in a row before it is: a minute."""

END_WITHIN_S = 5.0
"""From the SIGTERM for an unhealthy role to the SIGKILL."""

EXIT_CANNOT_START = 2
"""A role's exit code for: the surroundings do not allow it (said in one sentence on stderr)."""

SUPERVISED = "GATELENS_SUPERVISED"
"""Set in the roles' environment: watch standard input and stop when it ends."""


@dataclass(frozen=True, slots=True)
class Role:
    """One process to keep alive."""

    name: str
    command: tuple[str, ...]
    """Program and arguments; `python -m gatelens <role>` for ours."""
    ready_url: str | None = None
    """Answers 200 once the role serves; None = ready as soon as it runs."""
    health_url: str | None = None
    """Answers 200 while the role is well; None = well as long as it runs."""
    stop_order: int = 0
    """Lower stops first: senders before the collector, so that nothing is refused at the end."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Variables that are set where nobody has set them."""


@dataclass(slots=True)
class _Running:
    role: Role
    process: subprocess.Popen[bytes]
    started_at: float
    restarts: int = 0
    restart_at: float | None = None
    was_healthy: bool = False
    """It has said so once; what it answers while it starts does not count."""
    health_failures: int = 0
    health_silences: int = 0
    ask_health_at: float = 0.0
    ending: bool = False
    """It has been asked to end, being unhealthy."""
    kill_at: float | None = None
    output: IO[bytes] | None = field(default=None, repr=False)


class Supervisor:
    """Runs `roles` until `stop()`; `run()` blocks and returns the exit code."""

    def __init__(
        self,
        roles: Sequence[Role],
        *,
        environment: Mapping[str, str],
        log_dir: Path | None = None,
        on_ready: Callable[[float], None] | None = None,
        on_restart: Callable[[str, int], None] | None = None,
        health_every_s: float = HEALTH_EVERY_S,
    ) -> None:
        """`log_dir`: roles' stderr goes to `<role>.log` there; None = to ours.

        `on_ready(seconds)` is called once, when every role has answered; `on_restart(role, code)`
        whenever one died.
        """
        self._roles = roles
        self._environment = {**os.environ, **environment, SUPERVISED: "1"}
        self._log_dir = log_dir
        self._on_ready = on_ready
        self._on_restart = on_restart
        self._health_every_s = health_every_s
        self._stopping = threading.Event()
        self._running: list[_Running] = []
        self._was_ready = False

    def stop(self, *_signal: object) -> None:
        """Ask for the end; safe in a signal handler and from another thread."""
        self._stopping.set()

    def run(self) -> int:
        """Start all, keep them alive, stop all. Raises RoleFailed when one cannot start at all."""
        started = time.monotonic()
        try:
            for role in self._roles:
                self._running.append(self._start(role))
            while not self._stopping.wait(0.1):
                self._revive_dead()
                self._end_unhealthy()
                if not self._was_ready and all(_answers(r.role.ready_url) for r in self._running):
                    self._was_ready = True
                    if self._on_ready:
                        self._on_ready(time.monotonic() - started)
        finally:
            self._stop_all()
        return 0

    def _start(self, role: Role) -> _Running:
        output: IO[bytes] | None = None
        if self._log_dir:
            self._log_dir.mkdir(parents=True, exist_ok=True)
            output = (self._log_dir / f"{role.name}.log").open("ab")
        process = subprocess.Popen(
            role.command,
            env={**role.environment, **self._environment},
            stdin=subprocess.PIPE,  # its end tells the role that we are gone
            stderr=output,
            start_new_session=True,
        )
        return _Running(role, process, time.monotonic(), output=output)

    def _revive_dead(self) -> None:
        for index, running in enumerate(self._running):
            code = running.process.poll()
            if code is None:
                continue
            now = time.monotonic()
            if running.restart_at is None:
                if code == EXIT_CANNOT_START and not self._was_ready:
                    raise RoleFailed(running.role.name, code, self._log_of(running.role))
                lived = now - running.started_at
                running.restarts = 0 if lived > HEALTHY_AFTER_S else running.restarts
                delay = RESTART_DELAYS_S[min(running.restarts, len(RESTART_DELAYS_S) - 1)]
                running.restart_at = now + delay
                log.warning("role_died", role_name=running.role.name, code=code, restart_in_s=delay)
                if self._on_restart:
                    self._on_restart(running.role.name, code)
            elif now >= running.restart_at:
                _close(running)
                again = self._start(running.role)
                again.restarts = running.restarts + 1
                self._running[index] = again

    def _end_unhealthy(self) -> None:
        """Ask one role that is due; each question may take a second, so one at a time."""
        now = time.monotonic()
        for running in self._running:
            if running.kill_at is not None and now >= running.kill_at:
                log.error("role_killed", role_name=running.role.name, after_s=END_WITHIN_S)
                _signal(running.process, signal.SIGKILL)
                running.kill_at = None
        due = [r for r in self._running if r.role.health_url and now >= r.ask_health_at]
        for running in due[:1]:
            running.ask_health_at = now + self._health_every_s
            if running.process.poll() is None and not running.ending:
                self._note_health(running, _answer(running.role.health_url))

    def _note_health(self, running: _Running, healthy: bool | None) -> None:
        """`healthy`: None = no answer."""
        if healthy:
            running.was_healthy = True
            running.health_failures = running.health_silences = 0
        elif running.was_healthy and healthy is None:
            running.health_silences += 1
        elif healthy is not None:
            running.health_failures += 1
        failures_max = HEALTH_FAILURES_MAX if running.was_healthy else HEALTH_SILENCES_MAX
        if (
            running.health_failures >= failures_max
            or running.health_silences >= HEALTH_SILENCES_MAX
        ):
            log.error(
                "role_unhealthy_restarting_it",
                role_name=running.role.name,
                url=running.role.health_url,
                said_no=running.health_failures,
                said_nothing=running.health_silences,
            )
            running.ending = True
            running.kill_at = time.monotonic() + END_WITHIN_S
            _signal(running.process, signal.SIGTERM)

    def _stop_all(self) -> None:
        deadline = time.monotonic() + STOP_WITHIN_S
        for order in sorted({r.role.stop_order for r in self._running}):
            group = [r for r in self._running if r.role.stop_order == order]
            for running in group:
                _signal(running.process, signal.SIGTERM)
            for running in group:
                try:
                    running.process.wait(timeout=max(0.05, deadline - time.monotonic()))
                except subprocess.TimeoutExpired:
                    log.error("role_killed", role_name=running.role.name, after_s=STOP_WITHIN_S)
                    _signal(running.process, signal.SIGKILL)
                    running.process.wait()
        for running in self._running:
            _close(running)

    def _log_of(self, role: Role) -> str | None:
        return str(self._log_dir / f"{role.name}.log") if self._log_dir else None


def stop_when_orphaned() -> None:
    """In a role: when the supervisor is gone, ask ourselves to stop, as if it had."""
    if os.environ.get(SUPERVISED) != "1":
        return

    def watch() -> None:
        while os.read(0, 1024):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="orphan-watch", daemon=True).start()


def _answers(url: str | None) -> bool:
    """200 within a second; True where there is nothing to ask."""
    return _answer(url) is True


def _answer(url: str | None) -> bool | None:
    """Whether it says 200; None = it says nothing within a second. Our own processes need not
    prove who they are: nothing is sent to them, and their certificate names another host."""
    if url is None:
        return True
    try:
        return httpx.get(url, timeout=1.0, trust_env=False, verify=False).status_code == 200
    except httpx.HTTPError:
        return None


def _signal(process: subprocess.Popen[bytes], number: int) -> None:
    if process.poll() is None:
        process.send_signal(number)


def _close(running: _Running) -> None:
    if running.process.stdin:
        running.process.stdin.close()
    if running.output:
        running.output.close()
