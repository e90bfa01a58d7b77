"""`gatelens jobs`: run the role, or look at what the jobs did."""

from __future__ import annotations

import typer

from gatelens.cli_options import Config, Data, Insecure, role_settings

app = typer.Typer(help="Run the jobs role; or list, run once and look back.", rich_markup_mode=None)


@app.callback(invoke_without_command=True)
def jobs(
    context: typer.Context, data: Data = None, config: Config = None, insecure: Insecure = None
) -> None:
    """Without a subcommand: run rollups, alert rules and lake upkeep on their schedule."""
    if context.invoked_subcommand is None:
        from gatelens.roles import run_jobs

        run_jobs(role_settings("jobs", data, config, insecure))
