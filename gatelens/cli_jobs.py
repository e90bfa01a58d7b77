"""`gatelens jobs`: run the role, or look at what the jobs did."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from gatelens.cli_options import Config, Data, Insecure, console, read_settings, role_settings

app = typer.Typer(help="Run the jobs role; or list, run once and look back.", rich_markup_mode=None)


@app.callback(invoke_without_command=True)
def jobs(
    context: typer.Context, data: Data = None, config: Config = None, insecure: Insecure = None
) -> None:
    """Without a subcommand: run rollups, alert rules and lake upkeep on their schedule."""
    if context.invoked_subcommand is None:
        from gatelens.roles import run_jobs

        run_jobs(role_settings("jobs", data, config, insecure))


@app.command("list")
def list_jobs(data: Data = None, config: Config = None) -> None:
    """Every rollup with its last run and how far it is behind."""
    from analytics.job_control import list_jobs as overview

    table = _table("job", "from", "last run (UTC)", "rows", "took s", "rows behind", "error")
    for row in overview(read_settings(data, config).storage_settings):
        run = row.last_run
        table.add_row(
            row.job.name,
            row.job.source,
            f"{run.started_at:%Y-%m-%d %H:%M:%S}" if run else "never",
            f"{run.rows_in:,}" if run else "",
            f"{run.duration_s:.2f}" if run else "",
            f"{row.rows_behind:,}",
            (run.error or "") if run else "",
        )
    console.print(table)


@app.command()
def history(
    job: Annotated[str | None, typer.Argument(help="Only this job.")] = None,
    limit: Annotated[int, typer.Option(help="Newest runs to show.")] = 20,
    data: Data = None,
    config: Config = None,
) -> None:
    """Runs that did something or failed, newest first."""
    from analytics.job_control import job_history

    table = _table("started (UTC)", "job", "rows in", "rows out", "took s", "lag s", "error")
    for run in job_history(read_settings(data, config).storage_settings, job, limit):
        table.add_row(
            f"{run.started_at:%Y-%m-%d %H:%M:%S}",
            run.job,
            f"{run.rows_in:,}",
            f"{run.rows_out:,}",
            f"{run.duration_s:.2f}",
            "" if run.lag_s is None else f"{run.lag_s:.1f}",
            run.error or "",
        )
    console.print(table)


@app.command()
def run(
    job: Annotated[str, typer.Argument(help="Name of the job, as `jobs list` shows it.")],
    data: Data = None,
    config: Config = None,
) -> None:
    """Bring one rollup up to date now; safe beside a running jobs process."""
    from analytics.job_control import run_job

    settings = read_settings(data, config)
    steps = run_job(settings.storage_settings, job, settings.analytics)
    rows = sum(step.rows_in for step in steps if step.committed)
    console.print(f"{job}: {rows:,} rows counted in {len(steps)} steps")


@app.command()
def recompute(
    start: Annotated[str, typer.Argument(help="now-24h, or 2026-11-21T10:00:00Z.")],
    end: Annotated[str, typer.Argument(help="now, or an absolute time.")] = "now",
    data: Data = None,
    config: Config = None,
) -> None:
    """Count a window again from raw and correct the rollups; stop the jobs role first."""
    from analytics.job_control import recompute_window
    from analytics.timerange import parse_range

    settings = read_settings(data, config)
    window = parse_range(start, end)
    for recount in recompute_window(settings.storage_settings, window, settings.analytics):
        found = (
            f"{recount.groups_corrected:,} groups corrected" if recount.window else "nothing kept"
        )
        console.print(f"{recount.job}: {found}")


@app.command("close-month")
def close_month(
    month: Annotated[str, typer.Argument(help="A day in it: 2026-10-01.")],
    zone: Annotated[str, typer.Option(help="Time zone of its days.")] = "UTC",
    data: Data = None,
    config: Config = None,
) -> None:
    """Keep the invoices of a month that is over, for good; doing it twice keeps the first."""
    from datetime import UTC, datetime
    from zoneinfo import ZoneInfo

    from analytics.billing import close_month as close
    from analytics.query import Analytics, Policy
    from analytics.timerange import parse_time
    from storage.catalog import load_catalog
    from storage.lake import Lake
    from storage.session import ReadSession

    settings = read_settings(data, config)
    catalog, lake, now = (
        load_catalog(settings.catalog),
        Lake(settings.storage_settings),
        datetime.now(UTC),
    )
    with ReadSession(lake, tenant=settings.alerting.tenant) as session:
        analytics = Analytics(session, policy=Policy.of(catalog))
        when = parse_time(month, now=now).replace(tzinfo=ZoneInfo(zone))
        found = close(lake, analytics, catalog, when, now=now, zone=ZoneInfo(zone))
    table = _table("consumer", "plan", "requests", "total", "closed (UTC)", "late requests")
    for invoice in found:
        table.add_row(
            invoice.consumer,
            invoice.plan,
            f"{invoice.requests:,}",
            f"{invoice.total} {invoice.currency}",
            f"{invoice.closed_at:%Y-%m-%d %H:%M}" if invoice.closed_at else "",
            f"{invoice.adjustment.requests:,}" if invoice.adjustment else "",
        )
    console.print(table)


def _table(*columns: str) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in columns:
        table.add_column(name, overflow="fold")
    return table
