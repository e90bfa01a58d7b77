"""`gatelens rules explain`: an alert's story as text, from the history alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import sqlalchemy as sa

from alerting.explain import Contributor, explain_alert, say_contributors
from alerting.store import ActiveAlert, AlertStore, HistoryEntry


def explain_text(state: sa.Engine, fingerprint: str, *, steps: int = 20) -> str | None:
    """None when no alert, or several, have a fingerprint that begins so."""
    store = AlertStore(state)
    full = store.full_fingerprint(fingerprint)
    if full is None:
        return None
    found = explain_alert(state, full, steps=steps)
    active = next((a for a in store.active() if a.fingerprint == full), None)
    lines = _head(found.opening or found.steps[0], active)
    if found.opening is not None:
        lines += ["", *_opening(found.opening)]
    lines += ["", "Changes, newest first:"]
    lines += [
        f"  {_time(e.at)}  {e.from_state} -> {e.to_state}  {_against(e)}".rstrip()
        for e in found.steps
    ]
    return "\n".join(lines)


def _head(entry: HistoryEntry, active: ActiveAlert | None) -> list[str]:
    labels = " ".join(f"{k}={v}" for k, v in sorted(entry.labels.items()))
    lines = [f"{entry.rule} ({entry.severity})", labels]
    if active is None:
        return [*lines, "It is neither firing nor pending now."]
    lines.append(f"Now: {active.state}, {active.summary}")
    if active.acknowledged_by:
        lines.append(f"Acknowledged by {active.acknowledged_by}.")
    if active.flapping is not None:
        lines.append(str(active.flapping))
    quiet = [f"silence {number}" for number in active.silenced_by]
    quiet += [f"maintenance {name}" for name in active.maintenance]
    if quiet:
        lines.append(f"Kept quiet by {', '.join(quiet)}.")
    return lines


def _opening(opening: HistoryEntry) -> list[str]:
    evidence = opening.evidence
    lines = [f"Fired at {_time(opening.at)}: {opening.summary}", f"  {_against(opening)}"]
    lines += [f"  {text}"] if (text := str(evidence.get("text") or "")) else []
    found = _contributors(evidence.get("contributors", ()))
    lines += [f"  Most of it: {said}"] if (said := say_contributors(found)) else []
    for title, name in (("Chart", "chart_url"), ("Requests", "requests_url")):
        lines += [f"  {title}: {evidence[name]}"] if evidence.get(name) else []
    sql = evidence.get("requests_sql")
    return [*lines, "  Raw requests: gatelens sql with", f"    {sql}"] if sql else lines


def _contributors(stored: Sequence[Mapping[str, object]]) -> list[Contributor]:
    return [
        Contributor(
            str(c["dimension"]),
            str(c["name"]),
            float(str(c["value"])),
            str(c["measure"]),
            float(str(c["share"])),
        )
        for c in stored
    ]


def _against(entry: HistoryEntry) -> str:
    if entry.value is None:
        return ""
    limit = "" if entry.threshold is None else f" against {entry.threshold:.4g}"
    return f"value {entry.value:.4g}{limit}"


def _time(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%S} UTC"
