"""The supervisor with small real processes: restart, orderly stop, giving up at the first start."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gatelens.errors import RoleFailed
from gatelens.supervisor import Role, Supervisor, _Running

WRITES_PID_AND_WAITS = """
import os, signal, sys, time
with open(sys.argv[1], "a") as f: print(os.getpid(), file=f, flush=True)
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
while True: time.sleep(0.05)
"""


def role(name: str, program: str, *arguments: str, stop_order: int = 0) -> Role:
    return Role(name, (sys.executable, "-c", program, *arguments), stop_order=stop_order)


def until(condition: Callable[[], bool], timeout_s: float = 20.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.02)


def pids(path: Path) -> list[int]:
    return [int(line) for line in path.read_text().split()] if path.exists() else []


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@contextmanager
def running(supervisor: Supervisor) -> Iterator[None]:
    thread = threading.Thread(target=supervisor.run)
    thread.start()
    try:
        yield
    finally:
        supervisor.stop()
        thread.join(timeout=10)
        assert not thread.is_alive()


def test_a_killed_role_comes_back(tmp_path: Path) -> None:
    file = tmp_path / "pids"
    died: list[tuple[str, int]] = []
    supervisor = Supervisor(
        [role("worker", WRITES_PID_AND_WAITS, str(file))],
        environment={},
        on_restart=lambda name, code: died.append((name, code)),
    )
    with running(supervisor):
        until(lambda: len(pids(file)) == 1)
        os.kill(pids(file)[0], signal.SIGKILL)
        until(lambda: len(pids(file)) == 2)
    assert died == [("worker", -signal.SIGKILL)]
    assert not any(alive(pid) for pid in pids(file))


def test_ready_is_told_once_when_all_roles_run(tmp_path: Path) -> None:
    told: list[float] = []
    supervisor = Supervisor(
        [role("a", WRITES_PID_AND_WAITS, str(tmp_path / "a"))],
        environment={},
        on_ready=told.append,
    )
    with running(supervisor):
        until(lambda: bool(told) and bool(pids(tmp_path / "a")))
    assert len(told) == 1


def test_a_role_has_its_own_variables_unless_somebody_set_them(tmp_path: Path) -> None:
    file = tmp_path / "said"
    program = "import os, sys; open(sys.argv[1], 'w').write(os.environ['A'] + os.environ['B'])"
    command = (sys.executable, "-c", f"{program}\nwhile True: input()", str(file))
    said = Role("r", command, environment={"A": "own", "B": "own"})
    with running(Supervisor([said], environment={"B": "set"})):
        until(lambda: file.exists() and file.read_text() == "ownset")


def test_roles_stop_in_their_order(tmp_path: Path) -> None:
    log = tmp_path / "order"
    program = (
        "import signal, sys, time\n"
        "def stop(*_):\n"
        "    with open(sys.argv[1], 'a') as f: print(sys.argv[2], file=f)\n"
        "    sys.exit(0)\n"
        "signal.signal(signal.SIGTERM, stop)\n"
        "open(sys.argv[1] + sys.argv[2], 'w').close()\n"
        "while True: time.sleep(0.05)\n"
    )
    supervisor = Supervisor(
        [
            role("collector", program, str(log), "collector", stop_order=1),
            role("sender", program, str(log), "sender", stop_order=0),
        ],
        environment={},
    )
    with running(supervisor):
        until(lambda: all((tmp_path / f"order{n}").exists() for n in ("collector", "sender")))
    assert log.read_text().split() == ["sender", "collector"]


def test_a_role_that_ignores_sigterm_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gatelens.supervisor.STOP_WITHIN_S", 0.5)
    file = tmp_path / "pids"
    stubborn = WRITES_PID_AND_WAITS.replace("lambda *_: sys.exit(0)", "signal.SIG_IGN")
    # The handler is set before the pid is written, so that the signal cannot come too early.
    lines = stubborn.strip().splitlines()
    stubborn = "\n".join([lines[0], lines[2], lines[1], lines[3]])
    supervisor = Supervisor([role("stubborn", stubborn, str(file))], environment={})
    with running(supervisor):
        until(lambda: len(pids(file)) == 1)
    assert not alive(pids(file)[0])


def test_a_role_that_cannot_start_ends_the_whole_with_its_reason(tmp_path: Path) -> None:
    failing = "import sys; print('port 4317 is in use', file=sys.stderr); sys.exit(2)"
    supervisor = Supervisor(
        [
            role("waiting", WRITES_PID_AND_WAITS, str(tmp_path / "pids")),
            Role("collector", (sys.executable, "-c", failing), ready_url="http://127.0.0.1:9/"),
        ],
        environment={},
        log_dir=tmp_path / "logs",
    )
    with pytest.raises(RoleFailed, match=r"collector could not start .*collector\.log"):
        supervisor.run()
    assert "port 4317 is in use" in (tmp_path / "logs" / "collector.log").read_text()
    assert not any(alive(pid) for pid in pids(tmp_path / "pids"))


def test_roles_stop_when_their_supervisor_is_killed(tmp_path: Path) -> None:
    file = tmp_path / "pids"
    role_program = (
        "import sys\n"
        "from gatelens.supervisor import stop_when_orphaned\n"
        "stop_when_orphaned()\n" + WRITES_PID_AND_WAITS
    )
    supervising = (
        "import sys\n"
        "from gatelens.supervisor import Role, Supervisor, _Running\n"
        f"program = {role_program!r}\n"
        f"command = (sys.executable, '-c', program, {str(file)!r})\n"
        "Supervisor([Role('orphan', command)], environment={}).run()\n"
    )
    process = subprocess.Popen([sys.executable, "-c", supervising])
    until(lambda: len(pids(file)) == 1)
    process.kill()
    process.wait()
    until(lambda: not alive(pids(file)[0]))


SERVES_HEALTH = """
import http.server, os, pathlib, signal, sys
pids, sick, port, stubborn = sys.argv[1:]
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(503 if pathlib.Path(sick).exists() else 200)
        self.end_headers()
    def log_message(self, *_): pass
signal.signal(signal.SIGTERM, signal.SIG_IGN if stubborn == "yes" else lambda *_: os._exit(0))
server = http.server.HTTPServer(("127.0.0.1", int(port)), Handler)
with open(pids, "a") as f: print(os.getpid(), file=f, flush=True)
server.serve_forever()
"""


def health_role(tmp_path: Path, *, stubborn: str = "no") -> Role:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    files = (str(tmp_path / "pids"), str(tmp_path / "sick"))
    command = (sys.executable, "-c", SERVES_HEALTH, *files, str(port), stubborn)
    url = f"http://127.0.0.1:{port}/healthz"
    return Role("collector", command, ready_url=url, health_url=url)


@pytest.mark.parametrize("stubborn", ["no", "yes"])
def test_a_role_that_says_it_is_unwell_is_started_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stubborn: str
) -> None:
    monkeypatch.setattr("gatelens.supervisor.END_WITHIN_S", 0.3)
    monkeypatch.setattr("gatelens.supervisor.STOP_WITHIN_S", 0.3)
    ready: list[float] = []
    supervisor = Supervisor(
        [health_role(tmp_path, stubborn=stubborn)],
        environment={},
        on_ready=ready.append,
        health_every_s=0.1,
    )
    with running(supervisor):
        until(lambda: bool(ready) and supervisor._running[0].was_healthy)
        (first,) = pids(tmp_path / "pids")
        (tmp_path / "sick").touch()
        until(lambda: not alive(first))
        (tmp_path / "sick").unlink()
        until(lambda: len(pids(tmp_path / "pids")) >= 2 and supervisor._running[0].was_healthy)
        assert supervisor._running[0].health_failures == 0
    assert not any(alive(pid) for pid in pids(tmp_path / "pids"))


def test_single_failures_and_a_slow_start_restart_nothing(tmp_path: Path) -> None:
    supervisor = Supervisor([health_role(tmp_path)], environment={})
    running_ = _Running(supervisor._roles[0], subprocess.Popen(["sleep", "60"]), 0.0)
    try:
        for answers, ended in (
            ([False] * 11, False),  # it has never been well: it may still be starting
            ([True, False, False, True, False, False], False),
            ([True, *[None] * 11, True, *[None] * 11], False),
            ([True, False, None, False, None, False], True),
        ):
            for healthy in answers:
                supervisor._note_health(running_, healthy)
            assert running_.ending == ended, answers
        assert running_.process.wait(5) == -signal.SIGTERM
        never_well = _Running(supervisor._roles[0], running_.process, 0.0)
        for healthy in [None] * 50 + [False] * 12:
            assert not never_well.ending
            supervisor._note_health(never_well, healthy)
        assert never_well.ending, "it failed before it was first asked"
        hanging = _Running(supervisor._roles[0], running_.process, 0.0)
        for healthy in [True, *[None] * 12]:
            assert not hanging.ending
            supervisor._note_health(hanging, healthy)
        assert hanging.ending
    finally:
        running_.process.kill()
        running_.process.wait()
