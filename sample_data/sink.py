"""A local receiver of alert notifications for the demonstration: a file, and a line per notice."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

BODY_BYTES_MAX = 1_000_000
"""A larger body is answered 413 and not read."""
SUMMARY_CHARS_MAX = 200


class NotificationSink:
    """Takes POSTs on a free loopback port and appends each JSON body as one line to `path`.

    `on_notification` gets a one-line summary per notice, on the server's thread. A body that is not
    JSON is answered 400 and not kept.
    """

    def __init__(self, path: Path, on_notification: Callable[[str], None] | None = None) -> None:
        self._path = path
        self._on_notification = on_notification
        self._lock = threading.Lock()
        sink = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = int(self.headers.get("content-length") or 0)
                if length > BODY_BYTES_MAX:
                    self._answer(413)
                    return
                try:
                    notice = json.loads(self.rfile.read(length))
                except ValueError:
                    self._answer(400)
                    return
                sink._keep(notice)
                self._answer(200)

            def _answer(self, status: int) -> None:
                self.send_response(status)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                """Nothing on stderr: the terminal belongs to the demonstration."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True
        )

    @property
    def url(self) -> str:
        """Where to post; known before `start`."""
        return f"http://127.0.0.1:{self._server.server_port}/notifications"

    def start(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop and free the port. Safe when never started."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join(1.0)
        self._server.server_close()

    def _keep(self, notice: object) -> None:
        with self._lock, self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(notice, separators=(",", ":")) + "\n")
        if self._on_notification is not None:
            self._on_notification(summary_of(notice))


def summary_of(notice: object) -> str:
    """One line for a person, from a payload in the format of Alertmanager's webhook or any JSON.

    `{"status": "firing", "alerts": [{"labels": {"alertname": "X"}, "annotations": {"summary":
    "Y"}}]}` -> `FIRING X: Y`; several alerts are joined by `; `.
    """
    alerts = notice.get("alerts") if isinstance(notice, dict) else None
    if not isinstance(alerts, list) or not alerts:
        return _one_line(json.dumps(notice))
    return _one_line("; ".join(_alert_line(alert, notice) for alert in alerts))


def _alert_line(alert: object, notice: object) -> str:
    if not isinstance(alert, dict):
        return str(alert)
    status = alert.get("status") or (notice.get("status") if isinstance(notice, dict) else "")
    labels, annotations = _texts(alert.get("labels")), _texts(alert.get("annotations"))
    name = labels.get("alertname") or labels.get("rule") or "alert"
    summary = annotations.get("summary") or annotations.get("description") or ""
    return f"{str(status).upper()} {name}: {summary}".rstrip(": ")


def _texts(value: object) -> dict[str, str]:
    return {str(k): str(v) for k, v in value.items()} if isinstance(value, dict) else {}


def _one_line(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= SUMMARY_CHARS_MAX else flat[: SUMMARY_CHARS_MAX - 1] + "…"
