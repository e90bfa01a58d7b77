"""Definitions: what is taken, what is refused and with which words, YAML there and back."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from alerting.errors import ConfigInvalid
from analytics.measures import MEASURES
from dashboards.custom.checks import first_problem
from dashboards.custom.definition import UNITS, VARIABLES, Dashboard, Panel
from dashboards.custom.difference import difference
from dashboards.custom.source import LATENCY_SPREAD
from dashboards.custom.templates import PREFIX, templates
from dashboards.custom.yaml_text import from_yaml, to_yaml

HOSTILE = (
    "<script>alert(1)</script>",
    "' OR 1=1 --",
    "{{7*7}}",
    "=cmd|' /C calc'!A0",
    "NO",
    "1.10",
    "null",
    "true",
    "- a: b",
    "&anchor *alias",
    "!!python/object:os.system",
    "# comment",
    "name: |",
    "\u202egnp.exe",
    "😀",
    "a" * 120,
)

# Everything that a definition takes as text; control characters are refused, which is a test below.
TEXTS = st.one_of(
    st.sampled_from(HOSTILE),
    st.text(
        st.characters(
            exclude_categories=["Cc", "Cs", "Zl", "Zp"], exclude_characters="\ufffe\uffff"
        ),
        max_size=60,
    ),
)
LINES = st.lists(TEXTS, max_size=4).map("\n".join)
NAMED = TEXTS.filter(lambda t: bool(t.strip()))


@st.composite
def panels(draw: st.DrawFn, index: int = 0) -> dict[str, Any]:
    kind = draw(st.sampled_from(["time_series", "bar", "table", "number", "treemap", "text"]))
    x = draw(st.integers(0, 11))
    made: dict[str, Any] = {
        "id": f"p{index}",
        "kind": kind,
        "title": draw(TEXTS),
        "description": draw(LINES),
        "at": {"x": x, "y": draw(st.integers(0, 99)), "w": draw(st.integers(1, 12 - x)), "h": 4},
    }
    if kind == "text":
        return made | {"text": draw(LINES)}
    if draw(st.booleans()):
        return made | {"source": {"sql": "SELECT " + draw(LINES)}}
    measures = draw(st.lists(st.sampled_from(sorted(MEASURES)), min_size=1, max_size=1))
    values = draw(st.lists(NAMED, max_size=3))
    return made | {
        "source": {
            "measures": measures,
            "by": [draw(st.sampled_from(["api", "consumer", "country"]))],
            "filters": {"consumer": values, "status_code": ["404", "5xx"]},
            "limit": draw(st.integers(1, 100)),
        },
        "unit": draw(st.sampled_from(UNITS)),
        "thresholds": [
            {"at": draw(st.floats(-1e9, 1e9)), "tone": draw(st.sampled_from(["good", "bad"]))}
        ],
        "links": [{"title": draw(NAMED), "url": "/apis?from=now-1h"}],
    }


@st.composite
def dashboards(draw: st.DrawFn) -> Dashboard:
    count = draw(st.integers(0, 4))
    names = draw(st.lists(st.sampled_from(VARIABLES), unique=True, max_size=3))
    return Dashboard.model_validate(
        {
            "title": draw(NAMED),
            "description": draw(LINES),
            "folder": draw(TEXTS),
            "range": draw(st.sampled_from(["", "now-6h", "now-30d"])),
            "variables": [{"name": n, "default": draw(st.lists(NAMED, max_size=2))} for n in names],
            "panels": [draw(panels(index)) for index in range(count)],
        }
    )


@given(dashboards())
@settings(max_examples=25, deadline=None)
def test_yaml_reads_back_as_the_same_dashboard(dashboard: Dashboard) -> None:
    assert from_yaml(to_yaml(dashboard)) == dashboard


@given(dashboards())
@settings(max_examples=15, deadline=None)
def test_the_short_form_is_the_same_dashboard_and_differs_from_it_in_nothing(
    dashboard: Dashboard,
) -> None:
    again = Dashboard.model_validate(dashboard.plain())
    assert again == dashboard
    assert difference(dashboard, again) == []


BAR = {"id": "a", "kind": "bar", "source": {"measures": ["requests"], "by": ["api"]}}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"source": {"measures": ["reqests"], "by": ["api"]}}, "Did you mean 'requests'?"),
        ({"source": {"measures": ["requests"], "by": ["apis"]}}, "Did you mean 'api'?"),
        ({"source": {"measures": ["requests"]}}, "a bar needs a dimension"),
        ({"source": {}}, "needs a measure or SQL"),
        ({"source": {"measures": ["requests"], "sql": "SELECT 1"}}, "either measures or SQL"),
        ({"kind": "map"}, "grouped by country"),
        ({"kind": "text"}, "a text panel asks nothing"),
        ({"text": "x"}, "only a text panel"),
        ({"at": {"x": 9, "w": 9}}, "not be more than 12 columns"),
        ({"at": {"h": 0}}, "greater than or equal to 1"),
        ({"title": "a\x00b"}, "control characters"),
        ({"title": "a\nb"}, "one line"),
        ({"id": "../../etc/passwd"}, "pattern"),
        ({"links": [{"title": "x", "url": "javascript:alert(1)"}]}, "https:// or /"),
        ({"links": [{"title": "x", "url": "//evil.example"}]}, "https:// or /"),
        ({"links": [{"title": "x", "url": "/\\evil.example"}]}, "https:// or /"),
        ({"links": [{"title": "x", "url": "data:text/html,x"}]}, "https:// or /"),
        ({"thresholds": [{"at": float("nan"), "tone": "bad"}]}, "finite"),
        ({"tenant": "other"}, "Extra inputs"),
        (
            {
                "source": {
                    "measures": ["requests"],
                    "by": ["api"],
                    "filters": {"status_code": ["x"]},
                }
            },
            "not a status code",
        ),
        ({"source": {"measures": [LATENCY_SPREAD], "by": ["api"]}}, "shown by a heatmap"),
    ],
)
def test_a_mistake_is_refused_in_words(change: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Panel.model_validate(BAR | change)
    assert said in first_problem(caught.value)


def test_two_panels_of_one_id_and_too_many_panels_are_refused() -> None:
    with pytest.raises(ValidationError, match="there twice"):
        Dashboard.model_validate({"title": "x", "panels": [BAR, BAR]})
    many = [BAR | {"id": f"p{n}"} for n in range(61)]
    with pytest.raises(ValidationError, match="at most 60"):
        Dashboard.model_validate({"title": "x", "panels": many})
    Dashboard.model_validate({"title": "x", "panels": many[:60]})


@pytest.mark.parametrize("text", ["now-999999w", "now-0h", "yesterday", "now"])
def test_a_range_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValidationError):
        Dashboard(title="x", range=text)


WRONG_YAML = """\
title: Payments
panels:
  - id: a
    kind: bars
    titel: Requests
    source: {measures: [p95ms], by: [api]}
  - id: b
    kind: text
    at: {x: 9, w: 9}
foldr: mine
"""


def test_yaml_mistakes_have_their_lines_and_a_near_miss() -> None:
    with pytest.raises(ConfigInvalid) as caught:
        from_yaml(WRONG_YAML, "payments.yaml")
    found = {p.line: (p.message, p.hint) for p in caught.value.problems}
    assert set(found) == {4, 5, 6, 9, 10}
    assert found[4] == ("panels, 1, kind cannot be 'bars'.", "Did you mean 'bar'?")
    assert found[5] == ("There is no field 'titel' here.", "Did you mean 'title'?")
    assert "Did you mean 'p95_ms'?" in found[6][1]
    assert found[10] == ("There is no field 'foldr' here.", "Did you mean 'folder'?")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "empty"),
        ("- a\n- b\n", "mapping at its top"),
        ("title: [", "not YAML"),
        ("title: &a x\nfolder: *a\n", "Aliases are not taken"),
        ("title: x\ntitle: y\n", "twice"),
        ("title: x\nfolder: '" + "y" * 100_001 + "'", "larger than"),
        ("title: !!python/object/apply:os.system [x]\n", "title"),
        ("title:\n  - x\n", "valid string"),
    ],
)
def test_text_that_is_no_dashboard_is_refused_with_a_sentence(text: str, said: str) -> None:
    with pytest.raises(ConfigInvalid) as caught:
        from_yaml(text)
    assert said in str(caught.value)


def test_plain_words_stay_what_they_are() -> None:
    read = from_yaml(
        "title: 2026\npanels:\n- id: '1'\n  kind: bar\n  source:\n    measures: requests\n".replace(
            "measures: requests",
            "measures: [requests]\n    by: [api]\n    filters:\n"
            "      country: [NO, no]\n      api_version: [1.10]",
        )
    )
    assert read.title == "2026"
    assert read.panels[0].source.filters == {"country": ("NO", "no"), "api_version": ("1.10",)}


def test_differences_are_told_in_words() -> None:
    old = Dashboard.model_validate({"title": "A", "panels": [BAR, BAR | {"id": "b"}]})
    new = Dashboard.model_validate(
        {
            "title": "B",
            "variables": [{"name": "api"}],
            "panels": [
                BAR | {"title": "Top", "source": {"measures": ["errors"], "by": ["api"]}},
                {"id": "c", "kind": "text", "text": "x"},
            ],
        }
    )
    assert difference(old, new) == [
        "Title: “A” → “B”.",
        "Variable api added.",
        "Panel “c” added (text).",
        "Panel “b” removed.",
        "Panel “Top”: title nothing → “Top”; measures requests → errors.",
    ]
    moved = old.model_copy(
        update={
            "panels": (
                old.panels[0],
                old.panels[1].model_copy(
                    update={"at": old.panels[1].at.model_copy(update={"y": 9})}
                ),
            )
        }
    )
    assert difference(old, moved) == ["Moved or resized: “b”."]


def test_every_template_is_a_dashboard_without_overlaps() -> None:
    assert len(templates()) >= 5
    for made in templates():
        assert made.id.startswith(PREFIX)
        taken: dict[tuple[int, int], str] = {}
        for panel in made.dashboard.panels:
            for x in range(panel.at.x, panel.at.x + panel.at.w):
                for y in range(panel.at.y, panel.at.y + panel.at.h):
                    assert (x, y) not in taken, (made.id, panel.id, taken.get((x, y)))
                    taken[x, y] = panel.id
