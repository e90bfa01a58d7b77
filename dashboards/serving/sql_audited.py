"""A statement of people: in the audit log before it runs, and how it ended before the answer."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Mapping, Sequence

from sqlalchemy import Engine

from dashboards import identity
from storage.audit import Outcome
from storage.errors import SqlError, SqlRefused
from storage.settings import StorageSettings
from storage.sql_worker import Progress, SqlLimits, SqlResult, run_sql


def audited_sql(
    state: Engine,
    storage: StorageSettings,
    who: identity.Principal,
    text: str,
    *,
    params: Mapping[str, object] | Sequence[object],
    limits: SqlLimits,
    cancelled: threading.Event | None,
    progress: Progress | None,
) -> SqlResult:
    """Over the rows of `who`, who may ask SQL: the caller has looked. Blocking. Raises SqlError."""
    run = secrets.token_hex(6)
    identity.audit(state, "sql.run", run, sql=text)
    try:
        result = run_sql(
            storage,
            text,
            tenant=who.tenant,
            scope=who.scope,
            params=params,
            limits=limits,
            cancelled=cancelled,
            progress=progress,
        )
    except SqlError as err:
        outcome: Outcome = "refused" if isinstance(err, SqlRefused) else "failed"
        identity.audit(state, "sql.answer", run, outcome, why=str(err))
        raise
    identity.audit(state, "sql.answer", run, rows=result.table.num_rows)
    return result
