"""A believable API company: Waypost, a logistics platform that does not exist.

Owns the fictional company (`company.py`), its traffic (`traffic.py`), history written straight into
the lake (`history.py`), live traffic sent through the real front doors (`live.py`), and small
committed files of each kind. Everything is seeded: the same seed and the same window of time give
the same requests. Refuses to know how the collector works: it speaks OTLP and access logs only.
Open `company.py` first, then `traffic.py`.
"""
