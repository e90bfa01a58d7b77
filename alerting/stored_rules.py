"""Rules made on screen: each the YAML of one rule in the state store, every version with author.

Checked exactly as rule files are. Whoever changes a rule says which version they saw: two people
never overwrite each other unseen. Nothing is ever lost: deleting is a version too.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import sqlalchemy as sa
import structlog

from alerting.errors import ConfigInvalid, Problem, RuleConflict
from alerting.limits import RULES_MAX
from alerting.rule import Rule
from alerting.rules import parse_rules
from storage.audit import AuditEntry, append_audit
from storage.state import alert_rules

STORED = "stored rule"
"""What stands for the file's name in rules and problems."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class StoredRule:
    """One version of one rule. `source` None = deleted by this version."""

    name: str
    version: int
    source: str | None
    author: str
    created_at: float


class RuleStore:
    """All changes of stored rules. `state` as from storage.state.open_state; thread-safe."""

    def __init__(
        self,
        state: sa.Engine,
        *,
        tenant: str = "default",
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._state = state
        self._tenant = tenant
        self._clock = clock

    def all(self) -> list[StoredRule]:
        """The newest version of every rule that is not deleted, by name."""
        with self._state.connect() as connection:
            return [rule for rule in _newest(connection) if rule.source is not None]

    def get(self, name: str) -> StoredRule | None:
        """None when there is none, or it is deleted."""
        return next((rule for rule in self.all() if rule.name == name), None)

    def versions(self, name: str) -> list[StoredRule]:
        """Every version, newest first; [] when there never was one."""
        query = sa.select(alert_rules).where(alert_rules.c.name == name)
        with self._state.connect() as connection:
            rows = connection.execute(query.order_by(alert_rules.c.version.desc())).mappings()
            return [StoredRule(**row) for row in rows]

    def check(self, source: str) -> Rule:
        """The one rule a text holds. Raises ConfigInvalid with every mistake and its line.

        Takes a rules file of one rule, or the mapping of the rule alone.
        """
        whole = re.match(r"(\s*(#.*)?\n)*rules\s*:", source) is not None
        try:
            text = source if whole else as_file(source)
            rules = parse_rules(text, file=STORED, tenant=self._tenant)
        except ConfigInvalid as err:
            shift = 0 if whole else 1  # the line that made it a file
            problems = [replace(p, line=max(0, p.line - shift)) for p in err.problems]
            raise ConfigInvalid(problems) from err
        if len(rules) != 1:
            problem = f"There are {len(rules)} rules in it.", "Give exactly one."
            raise ConfigInvalid([Problem(STORED, 0, *problem)])
        return rules[0]

    def create(self, source: str, *, author: str, audit: AuditEntry | None = None) -> StoredRule:
        """Raises ConfigInvalid for its mistakes, RuleConflict when the name is taken.

        audit: written in the same transaction, here and below; None = nobody asks for a record.
        """
        return self._write(self.check(source).name, source, author, seen=None, audit=audit)

    def update(
        self, name: str, source: str, *, author: str, seen: int, audit: AuditEntry | None = None
    ) -> StoredRule:
        """seen: the version the editor started from. Raises ConfigInvalid, or RuleConflict when it
        is not the newest any more. The name stays: it is the identity of the rule's alerts."""
        rule = self.check(source)
        if rule.name != name:
            raise RuleConflict(
                f"The rule is called {name!r}, not {rule.name!r}.", "Create a new one instead."
            )
        return self._write(name, source, author, seen=seen, audit=audit)

    def delete(
        self, name: str, *, author: str, seen: int, audit: AuditEntry | None = None
    ) -> StoredRule:
        """Its open alerts are resolved in the next round. Raises RuleConflict."""
        return self._write(name, None, author, seen=seen, audit=audit)

    def stamp(self) -> tuple[int, float]:
        """Changes whenever anything changed: number of versions, time of the last."""
        query = sa.select(sa.func.count(), sa.func.max(alert_rules.c.created_at))
        with self._state.connect() as connection:
            count, last = connection.execute(query).one()
        return int(count), float(last or 0.0)

    def _write(
        self,
        name: str,
        source: str | None,
        author: str,
        seen: int | None,
        audit: AuditEntry | None,
    ) -> StoredRule:
        if not author.strip():
            raise RuleConflict("A change of a rule needs an author.")
        with self._state.connect() as connection:
            newest = {rule.name: rule for rule in _newest(connection)}
        last = newest.get(name)
        there = last is not None and last.source is not None
        if seen is None and there:
            raise RuleConflict(f"A rule called {name!r} exists already.", "Change that one.")
        if seen is not None and not there:
            raise RuleConflict(f"There is no rule called {name!r}.", "It was deleted meanwhile.")
        if seen is not None and last is not None and last.version != seen:
            raise RuleConflict(
                f"{last.author} changed {name!r} meanwhile: it is version {last.version} now.",
                "Look at it and change it again.",
            )
        if seen is None and len(newest) >= RULES_MAX:
            raise RuleConflict(f"There are {RULES_MAX} rules already.", "Delete some.")
        version = (last.version if last else 0) + 1
        made = StoredRule(name, version, source, author.strip(), self._clock())
        row = {
            "name": made.name,
            "version": made.version,
            "source": made.source,
            "author": made.author,
            "created_at": made.created_at,
        }
        try:
            with self._state.begin() as connection:
                connection.execute(sa.insert(alert_rules).values(row))
                if audit is not None:
                    append_audit(connection, audit)
        except sa.exc.IntegrityError as err:  # the primary key decides between two at once
            raise RuleConflict(
                f"Somebody changed {name!r} at the same moment.", "Look at it and change it again."
            ) from err
        return made


class RuleBook:
    """All rules of an engine: those of files, over stored ones, over built-in ones, by name."""

    def __init__(
        self, store: RuleStore, files: Sequence[Rule], builtin: Sequence[Rule] = ()
    ) -> None:
        self._store = store
        self._files = tuple(files)
        self._builtin = tuple(builtin)
        self._stamp: tuple[int, float] | None = None
        self._rules: tuple[Rule, ...] = ()
        self.broken: Mapping[str, str] = {}
        """Stored rules that cannot be read (they were written by another version), with why."""

    def changed(self) -> tuple[Rule, ...] | None:
        """The rules when they changed since the last call, else None. The first call gives them."""
        stamp = self._store.stamp()
        if stamp == self._stamp:
            return None
        stored: list[Rule] = []
        broken: dict[str, str] = {}
        for one in self._store.all():
            try:
                stored.append(self._store.check(one.source or ""))
            except ConfigInvalid as err:
                broken[one.name] = str(err)
                log.error("stored_rule_unreadable", rule=one.name, version=one.version)
        rules: dict[str, Rule] = {}
        for rule in (*self._files, *stored, *self._builtin):
            if rules.setdefault(rule.name, rule) is not rule and rule in stored:
                log.warning("stored_rule_hidden", rule=rule.name, by=rules[rule.name].file)
        self._stamp, self.broken = stamp, broken
        self._rules = tuple(rules.values())
        return self._rules

    def current(self) -> tuple[Rule, ...]:
        """The rules as they are now."""
        self.changed()
        return self._rules


def _newest(connection: sa.Connection) -> list[StoredRule]:
    table = alert_rules
    last = sa.select(table.c.name, sa.func.max(table.c.version).label("version"))
    newest = last.group_by(table.c.name).subquery()
    query = sa.select(table).join(
        newest, sa.and_(table.c.name == newest.c.name, table.c.version == newest.c.version)
    )
    rows = connection.execute(query.order_by(table.c.name)).mappings()
    return [StoredRule(**row) for row in rows]


def as_file(source: str) -> str:
    """A rule's own mapping as a file. Every line moves down by one."""
    return "rules:\n  - " + "\n    ".join(source.splitlines()) + "\n"
