"""Storage: the lake's tables, the only writer of their files, and the read layer over them.

Owns schemas, Delta commits, compaction, retention, the SQL sandbox, the catalog file and the small
state. Refuses to know what an API, an alert or a chart is: it stores rows and answers SQL.
Open first: `schemas.py` (what is stored), then `lake.py` (writing) and `session.py` (reading).
"""
