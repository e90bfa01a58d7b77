"""Questions and the jobs that make them cheap: raw requests -> rollups -> answers.

Owns the incremental jobs (SQL in `sql/`), their scheduler, and the query functions that dashboards,
alerts and the HTTP API share. Never writes files itself (that is `storage/`), never draws, never
decides about alerts. Open `query.py` first; `runner.py` for how rollups stay exact.
"""
