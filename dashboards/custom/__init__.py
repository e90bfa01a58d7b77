"""Dashboards that people build themselves.

Owns: what a dashboard is (definition.py), its YAML (yaml_text.py), where versions are kept
(store.py), the questions of panels (question.py) and how answers are drawn (draw.py), public links
(public_link.py, public_page.py).
Refuses: to compute a number of its own; panels ask the analytics and the SQL guard that everybody
asks, and draw with dashboards/figures/.
Open first: definition.py, then question.py.
"""
