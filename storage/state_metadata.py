"""The one collection of state tables; `state.py` has most of them, `state_*.py` the others."""

from __future__ import annotations

from sqlalchemy import MetaData

metadata = MetaData()
