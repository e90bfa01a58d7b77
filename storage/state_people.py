"""State tables about people: users, sessions, links that work once, API tokens, the audit log.

Secrets are kept as hashes only: passwords by argon2, everything random (256 bits) by SHA-256.
"""

from __future__ import annotations

from sqlalchemy import Column, Float, Index, Integer, String, Table, Text, UniqueConstraint

from storage.state_metadata import metadata

users = Table(
    "users",
    metadata,
    Column("id", String(32), primary_key=True),  # random, hex
    Column("name", String(200), nullable=False, unique=True),  # to log in with; lower case
    Column("title", String(200), nullable=False, default=""),  # as people call them
    Column("password", Text),  # argon2 encoded; NULL = none yet, or single sign-on only
    Column("role", String(40), nullable=False),
    Column("tenant", String(100), nullable=False),
    Column("apis", Text, nullable=False, default="[]"),  # JSON names; an API owner's own
    Column("consumers", Text, nullable=False, default="[]"),  # JSON names; an app developer's own
    Column("issuer", String(500)),  # of single sign-on; NULL = a local user
    Column("subject", String(500)),  # there
    Column("disabled_at", Float),  # NULL = may log in
    Column("created_at", Float, nullable=False),  # epoch seconds
    Column("password_at", Float),  # when the password was last set
    Column("seen_at", Float),  # last login
    UniqueConstraint("issuer", "subject", name="users_by_subject"),
)

user_sessions = Table(
    "user_sessions",
    metadata,
    Column("id", String(64), primary_key=True),  # SHA-256 of the cookie
    Column("user_id", String(32), nullable=False),
    Column("created_at", Float, nullable=False),
    Column("seen_at", Float, nullable=False),  # to the minute
    Column("expires_at", Float, nullable=False),  # whatever happens
    Column("address", String(100), nullable=False),
    Index("user_sessions_by_user", "user_id"),
)

user_links = Table(  # that work once: set-up, invitation, new password
    "user_links",
    metadata,
    Column("id", String(64), primary_key=True),  # SHA-256 of the secret in the link
    Column("kind", String(20), nullable=False),  # setup, password
    Column("user_id", String(32)),  # NULL = set-up: the user is made by it
    Column("created_at", Float, nullable=False),
    Column("expires_at", Float, nullable=False),
)

sign_in_flows = Table(  # single sign-on under way, from leaving for the provider to coming back
    "sign_in_flows",
    metadata,
    Column("id", String(64), primary_key=True),  # SHA-256 of `state`
    Column("browser", String(64), nullable=False),  # SHA-256 of the browser's own cookie
    Column("nonce", String(100), nullable=False),
    Column("verifier", String(200), nullable=False),  # PKCE
    Column("next", Text, nullable=False),  # path to go to afterwards
    Column("expires_at", Float, nullable=False),
)

api_tokens = Table(  # of the query side; those of senders are in the collector's file
    "api_tokens",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("name", String(200), nullable=False),
    Column("sha256", String(64), nullable=False, unique=True),
    Column("tenant", String(100), nullable=False),
    Column("scopes", Text, nullable=False),  # JSON list of what it may
    Column("apis", Text),  # JSON names; NULL = not narrowed
    Column("consumers", Text),  # JSON names; NULL = not narrowed
    Column("created_by", String(200), nullable=False),
    Column("created_at", Float, nullable=False),
    Column("expires_at", Float),  # NULL = never
    Column("used_at", Float),  # to the minute
    Column("revoked_at", Float),
)

audit_log = Table(
    "audit_log",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("at", Float, nullable=False),  # epoch seconds
    Column("tenant", String(4000), nullable=False),
    Column("actor", String(4000), nullable=False),
    Column("actor_kind", String(20), nullable=False),
    Column("action", String(100), nullable=False),
    Column("target", String(4000), nullable=False),
    Column("outcome", String(20), nullable=False),
    Column("address", String(4000), nullable=False),
    Column("detail", Text, nullable=False),  # JSON
    Index("audit_log_by_time", "at"),
    sqlite_autoincrement=True,  # a number is never given twice, so a gap shows a deletion
)
