"""Who may come in: users, passwords, sessions, links that work once, API tokens, single sign-on.

Owns the rows of storage/state_people.py; every change is in the audit log by the same transaction.
Refuses: to keep a secret (hashes only), to write cryptography of its own, to decide what a role may
do (roles.py) or who is asking (identity.py, gate.py).
Open first: users.py, then sign_in.py.
"""
