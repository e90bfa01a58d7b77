"""The screens people live in, and the HTTP query API beside them (port 8050).

Owns: the Dash app (app.py, pages/ of panels/ and figures/, theme.py), what the screens ask
(data.py, questions/), people (people/, roles.py, gate in serving/), dashboards that people make
(custom/), and the HTTP side: dispatcher, security headers, `POST /api/v1/sql` (serving/).
Refuses: to compute analytics (analytics/ does), to write to the lake, to run untrusted SQL in this
process, and to load anything from a CDN.
Open first: serving/server.py, then app.py, then one page: pages/home.py.
"""
