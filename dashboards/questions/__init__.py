"""What screens ask, for whom, and which answers are kept. `dashboards/data.py` is the door."""
