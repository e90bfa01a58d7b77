"""`gatelens rules`: check, test, back-test and import alert rules; explain an alert."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from gatelens.cli_options import Config, Data, console, errors, read_settings

app = typer.Typer(
    help="Check, test, back-test and import alert rules; explain an alert.", rich_markup_mode=None
)

File = Annotated[Path, typer.Argument(help="Rules file, or a folder of them.")]


@app.command()
def check(path: File) -> None:
    """Say what is wrong with a rules file, and what is likely not meant."""
    from alerting.rule_check import check_rules

    found = check_rules(path)
    for problem in found.problems:
        errors.print(f"error: {problem}", markup=False)
    for warning in found.warnings:
        errors.print(f"warning: {warning}", markup=False)
    console.print(f"{len(found.rules)} rules, {len(found.problems)} errors")
    if found.problems:
        raise typer.Exit(1)


@app.command()
def test(path: Annotated[Path, typer.Argument(help="Test file; see docs/alerts.md.")]) -> None:
    """Run rules on written-down series in virtual time."""
    from alerting.rule_test import run_rule_tests

    results = run_rule_tests(path)
    for result in results:
        console.print(f"{'FAILED' if result.failures else 'ok':<7} {result.name}", markup=False)
        for failure in result.failures:
            console.print(f"        {failure}", markup=False)
    failed = sum(bool(result.failures) for result in results)
    console.print(f"{len(results) - failed} passed, {failed} failed")
    if failed:
        raise typer.Exit(1)


@app.command()
def backtest(
    path: File,
    days: Annotated[float, typer.Option(help="How far back.")] = 7.0,
    zone: Annotated[str, typer.Option(help="Time zone in which night is 22:00 to 07:00.")] = "UTC",
    data: Data = None,
    config: Config = None,
) -> None:
    """Say how many pages each rule would have sent over the past days."""
    from alerting.backtest import backtest as run_backtest
    from alerting.rules import load_rules
    from alerting.source import AnalyticsSource
    from analytics.query import Analytics, Policy
    from storage.catalog import load_catalog
    from storage.lake import Lake
    from storage.session import ReadSession

    settings = read_settings(data, config)
    tenant = settings.alerting.tenant
    catalog = load_catalog(settings.catalog)
    rules = load_rules(path, builtin=False, tenant=tenant)
    with ReadSession(Lake(settings.storage_settings), tenant=tenant) as session:
        source = AnalyticsSource(
            Analytics(session, policy=Policy.of(catalog)),
            catalog,
            tenant=tenant,
            lookback_s=settings.alerting.stale_after_s * 2,
            storage=settings.storage_settings,
        )
        end = time.time()
        results = run_backtest(rules, source, start=end - days * 86_400, end=end, zone=zone)
    for result in results:
        console.print(
            f"{result.rule}: {len(result.pages)} pages in {days:g} days, {result.nights} at night, "
            f"{result.firing_s / 60:.0f} min firing (looked every {result.looked_every_s:.0f} s)"
        )
        for page in result.pages:
            at = datetime.fromtimestamp(page.fired_at, UTC)
            labels = " ".join(f"{key}={value}" for key, value in page.labels)
            minutes = page.seconds(result.end) / 60
            console.print(f"  {at:%Y-%m-%d %H:%M} UTC  {minutes:6.1f} min  {labels}", markup=False)


@app.command()
def explain(
    alert: Annotated[str, typer.Argument(help="Fingerprint of an alert, or how it begins.")],
    data: Data = None,
    config: Config = None,
) -> None:
    """Say why an alert fired: value, threshold, what makes up most of it, where to look."""
    from alerting.explain_text import explain_text
    from storage.state import open_state

    settings = read_settings(data, config)
    state = open_state(settings.storage_settings)
    try:
        text = explain_text(state, alert)
    finally:
        state.dispose()
    if text is None:
        errors.print(f"No alert's fingerprint begins with {alert!r}, or several do.", markup=False)
        raise typer.Exit(1)
    console.print(text, markup=False, highlight=False, soft_wrap=True)


@app.command("import-prometheus")
def import_prometheus(
    path: Annotated[Path, typer.Argument(help="A Prometheus rule file.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write there instead of to the screen.")
    ] = None,
) -> None:
    """Turn Prometheus alert rules into ours where a measure says the same; say why where not."""
    from alerting.prometheus_import import import_prometheus as read

    found = read(path)
    for problem in found.refused:
        errors.print(f"refused: {problem}", markup=False, soft_wrap=True)
    if found.source and output is not None:
        output.write_text(found.source, encoding="utf-8")
    elif found.source:
        console.print(found.source, markup=False, highlight=False, soft_wrap=True, end="")
    errors.print(f"{len(found.rules)} rules taken, {len(found.refused)} refused")
    if found.refused:
        raise typer.Exit(1)
