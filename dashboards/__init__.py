"""The screens people live in, and the HTTP query API beside them (port 8050).

Owns: the Dash app (pages/, figures/, theme.py), the ASGI dispatcher with its security headers
(dispatcher.py, guards.py), and `POST /api/v1/sql` (sql_api.py).
Refuses: to compute analytics (analytics/ does), to write to the lake, to run untrusted SQL in this
process, and to load anything from a CDN.
Open first: server.py, then app.py, then one page: pages/home.py.
"""
