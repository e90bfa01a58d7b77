"""Charts: pure functions (frame, options) -> plotly Figure. No queries, no callbacks, no clock.

Telemetry strings go through `format.for_plotly`, since Plotly reads pseudo-HTML. Colours and type
come from theme.py alone. Open first: base.py, then traffic.py.
"""
