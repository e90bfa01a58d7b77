"""One file per screen. Each has `layout(data, ...)` (skeleton first) and `register(app, data)`.

Callbacks are thin coroutines: read the view, ask `Data`, hand frames to figures/ and components.py.
Open first: home.py.
"""
