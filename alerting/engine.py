"""One round of alerting: look at every rule, step every alert, write states and notifications.

Evaluation is anchored at the data, not at the wall clock: windows end shortly before the newest
stored request, so rows that are still on their way neither fire nor resolve anything. When the data
stops, alerts keep their state and are marked unmeasured; only rules that need no requests (absence,
logs, probes, Gatelens itself) go on, by the wall clock. New states, history and outbox rows are one
transaction.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import sqlalchemy as sa
import structlog

from alerting.channels import Delivery
from alerting.checks import Reading, look
from alerting.dispatch import Dispatched, dispatch
from alerting.errors import RuleFailed
from alerting.explain import Contributor, say_contributors
from alerting.instances import (
    Alert,
    AlertChange,
    append_history,
    clear_acknowledgements,
    fingerprint_of,
    forget_alerts,
    load_alerts,
    save_alerts,
)
from alerting.limits import DELIVERED_KEPT_S, EXPLAINED_MAX, RESOLVED_KEPT_S, SERIES_PER_RULE_MAX
from alerting.links import evidence_links
from alerting.outbox import Outbox
from alerting.point import Labels
from alerting.rule import RULE_FAILING, Pipeline, Rule
from alerting.settings import AlertingSettings
from alerting.silences import count_match
from alerting.source import CachedSource, Source
from alerting.state_machine import Change, Instance, Observation, State, advance
from alerting.stored_rules import RuleBook
from alerting.surroundings import load_surroundings
from alerting.wording import evidence_of, labels_of, shown_window_s, word_alert

log = structlog.get_logger(__name__)

PRUNE_EVERY_S = 3_600.0

FOUND_AT_OPENING = ("contributors", "chart_url", "requests_url")
"""Annotations that are made once, when an alert opens, and stay with it."""

Explain = Callable[[Rule, Labels, float], Sequence[Contributor]]
"""What explains most of a breach that just began to fire. May raise."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What one round found. Times are epoch seconds."""

    at: float | None
    """End of the windows that were judged; None = no fresh data."""
    changes: tuple[AlertChange, ...] = ()
    failed: Mapping[str, str] = field(default_factory=dict)
    """Rules that could not be evaluated, with the reason; their alerts keep their state."""
    notices: int = 0
    suppressed: int = 0
    series: int = 0
    series_dropped: int = 0
    took_s: float = 0.0


@dataclass(slots=True)
class _Round:
    """What one round gathers before it writes."""

    now: float
    at: float | None
    before: Mapping[str, Alert]
    after: dict[str, Alert]
    written: set[str] = field(default_factory=set)
    changes: list[AlertChange] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    looked: set[str] = field(default_factory=set)
    series: int = 0
    series_dropped: int = 0


class AlertEngine:
    """Rules, state and delivery together. One instance runs at a time (the jobs' lease sees to it).

    A crash at any point is safe: the next round starts from what the state store says.
    """

    def __init__(
        self,
        source: Source,
        state: sa.Engine,
        rules: Sequence[Rule],
        delivery: Delivery,
        settings: AlertingSettings,
        *,
        outbox: Outbox | None = None,
        explain: Explain | None = None,
        export: Callable[[], object] | None = None,
        book: RuleBook | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """book: rules that may change while it runs, in place of `rules`."""
        self.rules = tuple(rules)
        self._book = book
        self.delivery = delivery
        self.outbox = outbox or Outbox(
            state, delivery.channels, clock=clock, external_url=settings.external_url
        )
        self._source = source
        self._state = state
        self._settings = settings
        self._explain = explain
        self._export = export
        self._clock = clock
        self._looked_at: dict[str, float] = {}  # wall clock; a restart looks at once
        self._explained = 0  # in this round
        self._pruned_at = -math.inf

    def tick(self, now: float | None = None) -> Evaluation:
        """Evaluate, then hand what is due to the channels' threads; does not wait for them."""
        done = self.evaluate_once(now)
        self.outbox.deliver_due()
        at = self._clock()
        if at - self._pruned_at >= PRUNE_EVERY_S:
            self._pruned_at = at
            self.outbox.prune(before=at - DELIVERED_KEPT_S)
        if self._export is not None:
            try:
                self._export()
            except Exception as err:  # the history keeps the events: the next round has them
                log.error("alert_events_failed", error=str(err), kind=type(err).__name__)
        return done

    def deliver_due(self, now: float | None = None) -> None:
        """Let every idle channel send what is due."""
        self.outbox.deliver_due(now)

    def close(self) -> None:
        """Wait for what is being sent; what is not stays in the outbox."""
        self.outbox.close()

    def evaluate_once(self, now: float | None = None) -> Evaluation:
        """One round. A rule that fails is reported in the result and does not stop the others.

        Raises only what the state store raises; then nothing of the round was written.
        """
        started = time.monotonic()
        self._explained = 0
        now = self._clock() if now is None else now
        if self._book is not None and (changed := self._book.changed()) is not None:
            self.rules = changed
        with self._state.connect() as connection:
            before = {alert.fingerprint: alert for alert in load_alerts(connection)}
        run = _Round(now, self._anchor(now), before, dict(before))
        self._look_at_rules(run)
        run.failed.update(self._book.broken if self._book is not None else {})
        self._judge_health(run)
        self._close_orphans(run)
        self._let_go(run)
        dispatched = self._write(run)
        return Evaluation(
            run.at,
            tuple(run.changes),
            run.failed,
            dispatched.notices,
            dispatched.suppressed,
            run.series,
            run.series_dropped,
            time.monotonic() - started,
        )

    def _anchor(self, now: float) -> float | None:
        until = self._source.data_until(now)
        if until is None or now - until > self._settings.stale_after_s:
            return None
        return min(now, until) - self._settings.settle_s

    def _look_at_rules(self, run: _Round) -> None:
        source = CachedSource(self._source)
        by_rule: dict[str, list[Alert]] = {}
        for alert in run.before.values():
            by_rule.setdefault(alert.rule, []).append(alert)
        for rule in self.rules:
            if run.now - self._looked_at.get(rule.name, -math.inf) < rule.look_every_s:
                continue
            self._looked_at[rule.name] = run.now
            run.looked.add(rule.name)
            known = _known_series(rule, by_rule.get(rule.name, ()))
            try:
                if run.at is not None and not isinstance(rule.check, Pipeline):
                    self._look(run, rule, source, run.at, known)
                elif not rule.needs_requests:
                    self._look(run, rule, source, run.now - self._settings.settle_s, known)
                else:
                    self._unmeasured(run, rule, known)
            except Exception as err:
                failure = err if isinstance(err, RuleFailed) else RuleFailed(rule.name, str(err))
                run.failed[rule.name] = failure.message
                log.error("rule_failed", rule=rule.name, error=str(err), kind=type(err).__name__)

    def _look(
        self, run: _Round, rule: Rule, source: Source, at: float, known: Mapping[Labels, Alert]
    ) -> None:
        readings = look(rule, source, at, known)
        run.series += len(readings)
        if len(readings) > SERIES_PER_RULE_MAX:
            dropped = len(readings) - SERIES_PER_RULE_MAX
            readings.sort(key=lambda r: (r.labels not in known, -r.requests))
            del readings[SERIES_PER_RULE_MAX:]
            run.series_dropped += dropped
            log.warning("rule_series_dropped", rule=rule.name, series=dropped)
        for reading in readings:
            self._step(run, rule, reading, at, known.get(reading.labels))

    def _judge_health(self, run: _Round) -> None:
        """A rule that cannot be evaluated is an alert itself; one that was removed no longer."""
        mine = (a for a in run.before.values() if a.rule == RULE_FAILING.name)
        known = _known_series(RULE_FAILING, mine)
        series: dict[Labels, str] = {(("rule", name),): why for name, why in run.failed.items()}
        names = {rule.name for rule in self.rules}
        for labels in known:
            name = labels[0][1]
            if name in run.looked or name not in names:
                series.setdefault(labels, "")
        for labels, why in series.items():
            reading = Reading(labels, bool(why), None, None, evidence=why)
            self._step(run, RULE_FAILING, reading, run.now, known.get(labels))

    def _unmeasured(self, run: _Round, rule: Rule, known: Mapping[Labels, Alert]) -> None:
        """No fresh data at all. `keep` keeps; the other policies judge by the wall clock."""
        if rule.timing.no_data == "keep":
            for alert in known.values():
                if alert.instance.unmeasured_since is None and alert.state is State.FIRING:
                    marked = replace(alert.instance, unmeasured_since=run.now)
                    run.after[alert.fingerprint] = replace(alert, instance=marked)
                    run.written.add(alert.fingerprint)
            return
        series: Iterable[Labels] = known or (() if rule.group_by else ((),))
        for labels in series:
            reading = Reading(labels, None, None, None, evidence="No data arrives at all.")
            self._step(run, rule, reading, run.now, known.get(labels))

    def _step(
        self, run: _Round, rule: Rule, reading: Reading, at: float, alert: Alert | None
    ) -> None:
        watched = rule.timing.no_data == "alert"  # a quiet series must be remembered to be missed
        if alert is None:
            if reading.breached is False and not watched:
                return
            alert = Alert(
                fingerprint=fingerprint_of(rule.name, reading.labels),
                rule=rule.name,
                labels=labels_of(rule, reading.labels),
                annotations={},
                severity=rule.severity,
                instance=_UNSEEN,
            )
        seen = Observation(at, reading.breached, reading.value, reading.threshold)
        instance, change = advance(alert.instance, seen, rule.timing)
        is_new = alert.fingerprint not in run.before
        moves = change is not None or instance.state in (State.PENDING, State.FIRING)
        if not moves and not (is_new and watched):
            return
        stepped = replace(
            alert, instance=instance, severity=rule.severity, labels=labels_of(rule, reading.labels)
        )
        found: Sequence[Contributor] = ()
        links = self._links(rule, reading, at) if change is not None else {}
        if change is not None or instance.state is State.FIRING:
            worded = word_alert(rule, stepped, reading)
            if change is not None and change.opens:
                found = self._contributors(rule, reading, at)
                worded.update({"contributors": said} if (said := say_contributors(found)) else {})
                worded.update({n: links[n] for n in FOUND_AT_OPENING if n in links})
            else:
                worded.update({n: t for n, t in alert.annotations.items() if n in FOUND_AT_OPENING})
            stepped = replace(stepped, annotations=worded)
        if instance.state is State.INACTIVE and not watched:
            run.after.pop(alert.fingerprint, None)
        else:
            run.after[alert.fingerprint] = stepped
        run.written.add(alert.fingerprint)
        if change is not None:
            summary = stepped.annotations.get("summary", "")
            evidence = {**evidence_of(rule, reading, at, found), **links}
            run.changes.append(AlertChange(stepped, change, at, summary, evidence))

    def _links(self, rule: Rule, reading: Reading, at: float) -> Mapping[str, str]:
        url = self._settings.external_url
        return evidence_links(rule, reading.labels, at, shown_window_s(rule), url)

    def _contributors(self, rule: Rule, reading: Reading, at: float) -> Sequence[Contributor]:
        if self._explain is None or reading.breached is None or self._explained >= EXPLAINED_MAX:
            return ()
        self._explained += 1
        try:
            return self._explain(rule, reading.labels, at)
        except Exception as err:  # an alert is not held back by its explanation
            log.warning("explain_failed", rule=rule.name, error=str(err))
            return ()

    def _close_orphans(self, run: _Round) -> None:
        """Alerts whose rule is gone, or groups differently now: open ones are resolved."""
        rules = {rule.name: rule for rule in (*self.rules, RULE_FAILING)}
        for alert in run.before.values():
            rule = rules.get(alert.rule)
            if rule is not None and alert.fingerprint == _fingerprint_now(rule, alert):
                continue
            if alert.state is State.RESOLVED:
                continue  # its labels are needed until everybody was told
            run.written.add(alert.fingerprint)
            if alert.state is not State.FIRING:
                run.after.pop(alert.fingerprint, None)
                continue
            resolved = replace(
                alert.instance, state=State.RESOLVED, resolved_at=run.now, updated_at=run.now
            )
            closed = run.after[alert.fingerprint] = replace(alert, instance=resolved)
            change = Change(State.FIRING, State.RESOLVED)
            run.changes.append(
                AlertChange(closed, change, run.now, f"Rule {alert.rule} was removed or regrouped.")
            )

    def _let_go(self, run: _Round) -> None:
        for alert in list(run.after.values()):
            updated = alert.instance.updated_at or 0.0
            old = alert.state in (State.RESOLVED, State.NO_DATA)
            if old and run.now - updated > RESOLVED_KEPT_S:
                del run.after[alert.fingerprint]
                run.written.add(alert.fingerprint)

    def _write(self, run: _Round) -> Dispatched:
        kept = [run.after[f] for f in run.written if f in run.after]
        gone = [f for f in run.written if f not in run.after and f in run.before]
        opened = [c.alert for c in run.changes if c.change.opens]
        with self._state.begin() as connection:
            save_alerts(connection, kept, run.before)
            forget_alerts(connection, gone)
            append_history(connection, run.changes)
            around = load_surroundings(
                connection,
                self.delivery,
                now=run.now,
                external_url=self._settings.external_url,
            )
            # While an alert flaps, whoever took it has it: it is one incident.
            anew = [a.fingerprint for a in opened if a.fingerprint not in around.flapping]
            clear_acknowledgements(connection, anew)
            for silence in around.silences:
                if hit := sum(1 for a in opened if silence.covers(a.labels, run.now)):
                    count_match(connection, silence.id, hit)
            return dispatch(connection, run.after, around)


_UNSEEN = Instance()


def _known_series(rule: Rule, alerts: Iterable[Alert]) -> dict[Labels, Alert]:
    return {
        _series_of(rule, alert): alert
        for alert in alerts
        if alert.fingerprint == _fingerprint_now(rule, alert)
    }


def _series_of(rule: Rule, alert: Alert) -> Labels:
    return tuple((name, alert.labels.get(name, "")) for name in rule.group_by)


def _fingerprint_now(rule: Rule, alert: Alert) -> str:
    return fingerprint_of(rule.name, _series_of(rule, alert))
