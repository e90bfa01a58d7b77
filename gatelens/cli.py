"""The `gatelens` command. Commands are thin: settings in, a room's function called, a sentence out.

Exit codes: 0 done; 1 the work found something wrong (rejects above the limit, a refused query); 2
it could not start (a setting, a port, a folder); 130 stopped by Ctrl-C.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from gatelens import __version__
from gatelens.cli_options import Config, Data, Insecure, errors, read_settings, role_settings
from gatelens.logging import configure_logging

DEMO_RATE_PER_S = 6.0
"""As in sample_data.scenario, whose import would make every command start later."""

app = typer.Typer(
    name="gatelens",
    help="API analytics from plain OTLP and plain access logs.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


@app.command()
def up(data: Data = None, config: Config = None, insecure: Insecure = None) -> None:
    """Run collector, jobs and dashboards, supervised."""
    from gatelens.up import run_up

    settings = read_settings(data, config, insecure=insecure)
    settings.check_binds()
    configure_logging("supervisor", settings.log_level, settings.log_format)
    raise typer.Exit(run_up(settings, config))


@app.command()
def demo(
    data: Data = None,
    config: Config = None,
    days: Annotated[int, typer.Option(help="Days of history to write at the first start.")] = 8,
    rate: Annotated[
        float, typer.Option(help="Requests per second, mean of a week.")
    ] = DEMO_RATE_PER_S,
) -> None:
    """Run everything with live sample traffic of a fictional API company."""
    from gatelens.demo import run_demo

    settings = read_settings(data, config)
    settings.check_binds()
    configure_logging("supervisor", settings.log_level, settings.log_format)
    raise typer.Exit(run_demo(settings, config, days=days, rate_per_s=rate))


@app.command()
def collect(data: Data = None, config: Config = None, insecure: Insecure = None) -> None:
    """Run the collector alone: OTLP and access logs in, Delta tables out."""
    from gatelens.roles import run_collector

    run_collector(role_settings("collector", data, config, insecure))


@app.command()
def dash(data: Data = None, config: Config = None, insecure: Insecure = None) -> None:
    """Run the dashboards and the query API alone."""
    from gatelens.roles import run_dashboards

    run_dashboards(role_settings("dashboards", data, config, insecure))


@app.command("demo-traffic", hidden=True)
def demo_traffic(
    data: Data = None, config: Config = None, days: int = 8, rate: float = DEMO_RATE_PER_S
) -> None:
    """The demo's sender, started by `gatelens demo`."""
    from gatelens.demo import run_demo_traffic

    run_demo_traffic(role_settings("demo-traffic", data, config, None), days=days, rate_per_s=rate)


@app.command()
def version() -> None:
    """Print the version."""
    typer.echo(f"gatelens {__version__}")


def _add_groups() -> None:
    from gatelens import (
        cli_data,
        cli_jobs,
        cli_rules,
        cli_sql,
        cli_tokens,
        cli_upkeep,
        cli_users,
    )

    cli_sql.add_to(app)
    cli_data.add_to(app)
    cli_upkeep.add_to(app)
    app.add_typer(cli_jobs.app, name="jobs")
    app.add_typer(cli_rules.app, name="rules")
    app.add_typer(cli_tokens.app, name="token")
    app.add_typer(cli_users.app, name="user")


_add_groups()


def main() -> None:
    """Entry point: known errors become one sentence on stderr and an exit code."""
    from gatelens.sentences import sentence_for

    try:
        app()
    except Exception as err:
        known = sentence_for(err)
        if known is None:
            raise
        errors.print(f"gatelens: {known.text}", markup=False)
        sys.exit(known.exit_code)
