"""`gatelens doctor`, `backup`, `restore` and `catalog`: looking after an installation."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from gatelens.cli_options import Config, Data, console, errors, read_settings

catalog_app = typer.Typer(help="Look at the catalog.", rich_markup_mode=None)


def add_to(app: typer.Typer) -> None:
    """Add the commands to the root."""
    app.command()(doctor)
    app.command("backup")(make_backup)
    app.command("restore")(restore_backup)
    app.add_typer(catalog_app, name="catalog")


def doctor(
    read_rows: Annotated[
        bool, typer.Option("--read-rows", help="Also decode every page of every file (slow).")
    ] = False,
    data: Data = None,
    config: Config = None,
) -> None:
    """Say what the write-ahead log holds and when no collector took data, check every table, tell
    what may be counted twice; exit code 1 when something is damaged or stuck. Changes nothing, and
    may run beside a collector."""
    from collector.service import WAL_FOLDER
    from collector.wal_inspect import inspect_wal
    from gatelens.doctor_collectors import collector_lines
    from gatelens.doctor_counting import counting_lines
    from storage.check import check_lake
    from storage.stuck_commit import read_stuck

    settings = read_settings(data, config)
    wal = inspect_wal(settings.data_dir / WAL_FOLDER)
    for line in wal.lines():
        console.print(line, markup=False)
    stuck = read_stuck(wal.folder)
    if stuck:
        since = datetime.fromtimestamp(stuck.since, UTC)
        errors.print(
            f"stuck: {stuck.requests} acknowledged requests have not reached the lake; "
            f"{stuck.failures} attempts since {since:%Y-%m-%d %H:%M:%S} UTC failed, "
            f"the last with {stuck.error}",
            markup=False,
        )
    for line in collector_lines(settings.storage_settings):
        console.print(line, markup=False)
    damaged = not wal.healthy
    if damaged:
        errors.print(f"damaged: the write-ahead log {wal.folder}; see above", markup=False)
    for problem in check_lake(settings.storage_settings, read_rows=read_rows):
        damaged = True
        errors.print(f"damaged: {problem.path}: {problem.reason}", markup=False)
    for line in counting_lines(settings.storage_settings) if not damaged else ():
        console.print(line, markup=False)
    console.print("damage was found" if damaged else "log and lake: every file is whole")
    if damaged or stuck:
        raise typer.Exit(1)


def make_backup(
    target: Annotated[
        str, typer.Argument(help="Folder or s3://bucket/prefix; may hold an earlier backup.")
    ],
    data: Data = None,
    config: Config = None,
) -> None:
    """Save lake and state while everything runs; only what is new is copied."""
    from storage.backup import backup

    report = backup(read_settings(data, config).storage_settings, target)
    console.print(
        f"{len(report.tables)} tables, {report.files:,} files in the backup; "
        f"{report.files_copied:,} copied ({report.bytes_copied:,} bytes), each read back"
    )


def restore_backup(
    source: Annotated[str, typer.Argument(help="Folder or s3://bucket/prefix of the backup.")],
    data: Data = None,
    config: Config = None,
) -> None:
    """Put a backup into an empty data folder."""
    from storage.backup import restore

    report = restore(source, read_settings(data, config).storage_settings)
    console.print(f"{len(report.tables)} tables, {report.files:,} files restored")


@catalog_app.command()
def check(
    path: Annotated[Path, typer.Argument(help="catalog.yaml")],
) -> None:
    """Read a catalog and say what it has, or what is wrong with it."""
    from storage.catalog import load_catalog
    from storage.errors import CatalogError

    if not path.exists():
        raise CatalogError(f"{path}: there is no such file")
    catalog = load_catalog(path)
    console.print(
        f"{len(catalog.apis)} APIs, {len(catalog.products)} products, {len(catalog.plans)} plans, "
        f"{len(catalog.consumers)} consumers, {len(catalog.slos)} objectives"
    )
