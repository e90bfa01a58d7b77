"""`gatelens import` and `formats`: getting access logs in."""

from __future__ import annotations

import signal
import threading
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from gatelens.cli_options import Config, Data, console, errors, read_settings

if TYPE_CHECKING:  # a command loads only what it needs: --help answers at once
    from collector.importer import ImportProgress, ImportReport

SAMPLES_SHOWN = 10
"""Rejects printed with their line; all of them are in the table `rejects`."""


def add_to(app: typer.Typer) -> None:
    """Add the commands to the root."""
    app.command("import")(import_logs)
    app.command()(formats)


def import_logs(
    log_format: Annotated[str, typer.Argument(metavar="FORMAT", help="See `gatelens formats`.")],
    paths: Annotated[list[str], typer.Argument(metavar="FILE...", help="Files, globs or '-'.")],
    follow: Annotated[
        bool, typer.Option(help="Keep reading, over rotations, like tail -F.")
    ] = False,
    since: Annotated[
        datetime | None, typer.Option(help="Leave out requests before this time (UTC).")
    ] = None,
    max_rejects: Annotated[
        int | None, typer.Option(help="Exit with 1 when more lines were rejected; none = any.")
    ] = None,
    nginx_log_format: Annotated[
        str | None,
        typer.Option(
            "--log-format", help="nginx, apache: the log_format or LogFormat string of the file."
        ),
    ] = None,
    environment: Annotated[str | None, typer.Option(help="Environment of all requests.")] = None,
    data: Data = None,
    config: Config = None,
) -> None:
    """Read access logs into the lake. Running it twice stores nothing twice."""
    from collector.importer import follow_files, import_files

    settings = read_settings(data, config)
    options = {"log_format": nginx_log_format} if nginx_log_format else None
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    started = time.monotonic()
    with _Bar() as bar:
        run = follow_files if follow else import_files
        report = run(
            log_format,
            paths,
            storage=settings.storage_settings,
            catalog_path=settings.catalog,
            progress=bar.update,
            since=since.replace(tzinfo=UTC) if since else None,
            options=options,
            privacy=settings.collector,
            environment=environment,
            stop=stop,
        )
    _print_report(report, time.monotonic() - started)
    if report.exceeds(max_rejects):
        raise typer.Exit(1)


def formats(
    name: Annotated[
        str | None, typer.Argument(help="Show what to write in this sender's configuration.")
    ] = None,
) -> None:
    """List the formats that `import` and `/ingest/<format>` take."""
    from collector.formats import FORMATS
    from collector.gateways import GATEWAY_FORMATS

    if name is not None:
        if name not in FORMATS:
            raise typer.BadParameter(f"there is no format {name!r}; there are {', '.join(FORMATS)}")
        console.print(getattr(FORMATS[name], "snippet", "").rstrip(), markup=False, highlight=False)
        return
    for name, log_format in GATEWAY_FORMATS.items():
        description = getattr(log_format, "description", "")
        console.print(f"{name:<14} {description}", markup=False)


class _Bar:
    """Progress on a terminal; silent when standard error is a file or a pipe."""

    def __init__(self) -> None:
        terminal = Console(stderr=True)
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} %  {task.fields[rate]}"),
            TimeRemainingColumn(),
            console=terminal,
            disable=not terminal.is_terminal,
            transient=True,
        )
        self._started = time.monotonic()
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> _Bar:
        self._progress.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._progress.stop()

    def update(self, now: ImportProgress) -> None:
        if now.path not in self._tasks:
            self._tasks[now.path] = self._progress.add_task(now.path, total=1.0, rate="")
        rate = now.read / max(1e-6, time.monotonic() - self._started)
        self._progress.update(
            self._tasks[now.path], completed=now.share or 0.0, rate=f"{rate:,.0f} lines/s"
        )


def _print_report(report: ImportReport, seconds: float) -> None:
    rate = report.read / max(seconds, 1e-6)
    console.print(
        f"{report.read:,} lines read from {report.files} files in {seconds:.1f} s "
        f"({rate:,.0f} lines/s): {report.stored:,} stored, {report.rejected:,} rejected"
    )
    if report.bytes_known:
        console.print(f"{report.bytes_known:,} bytes were there already from an earlier import")
    if report.before_since:
        console.print(f"{report.before_since:,} left out by --since")
    if report.left_to_spans:
        console.print(
            f"{report.left_to_spans:,} not counted: their gateway's spans are, or the catalog says "
            "so (docs/counting-once.md)"
        )
    if report.bytes_pending:
        console.print(
            f"{report.bytes_pending:,} bytes of an unfinished last line are left for later"
        )
    for path, line, reason in report.samples[:SAMPLES_SHOWN]:
        console.print(f"  rejected {path}:{line} {reason}", markup=False)
    if report.rejected > len(report.samples[:SAMPLES_SHOWN]):
        console.print('  all of them: gatelens sql "SELECT * FROM rejects ORDER BY time DESC"')
    for failure in report.failures:
        errors.print(f"gatelens: {failure}", markup=False)
