"""Statements that people saved on the SQL screen."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Float, String, Table, Text, UniqueConstraint

from storage.state_metadata import metadata

saved_statements = Table(
    "saved_statements",
    metadata,
    Column("id", String(32), primary_key=True),  # random, hex
    Column("tenant", String(100), nullable=False),
    Column("person", String(64), nullable=False),  # id of who saved it; only they change it
    Column("author", String(200), nullable=False),  # their name then
    Column("name", String(80), nullable=False),
    Column("sql", Text, nullable=False),
    Column("shared", Boolean, nullable=False),  # shown to all of the tenant who may ask in SQL
    Column("updated_at", Float, nullable=False),  # epoch seconds
    UniqueConstraint("tenant", "person", "name", name="saved_statements_by_name"),
)
