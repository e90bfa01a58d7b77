"""From measures to people: rules, the state of every alert, and notifications that arrive.

Owns rule files, alert state, routing and delivery. Refuses to compute measures (`analytics/` does)
and to draw (`dashboards/` does). The state machine is pure; the engine around it does the reading
and writing; a change of state and its notifications are one transaction.
Open first: `rules.py` (what a rule is), `state_machine.py`, then `engine.py` and `outbox.py`.
"""
