"""Panels over the known lake: numbers equal an independent count, every kind draws, hostile names
stay text, failures stay in the panel."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from html.parser import HTMLParser
from typing import Any
from urllib.parse import quote

import plotly.graph_objects as go
import pytest

from dashboards.custom import question
from dashboards.custom.definition import KINDS, Panel
from dashboards.custom.html_text import to_html
from dashboards.custom.panel_content import ask, content, read_panel
from dashboards.custom.question import parameters
from dashboards.data import Data
from dashboards.settings import DashboardSettings
from dashboards.view import View, parse_view
from storage.settings import StorageSettings
from tests.aio import run
from tests.dashboards.known import HOSTILE_API, Call, utc_now


@pytest.fixture(scope="module")
def data(storage: StorageSettings) -> Iterator[Data]:
    made = Data(DashboardSettings(port=0), storage)
    yield made
    made.close()


def view(search: str = "from=now-1h") -> View:
    return parse_view(search, now=utc_now(), mode="dark")


def panel(kind: str, **more: Any) -> Panel:
    source = more.pop("source", {"measures": ["requests"], "by": ["api"]})
    return Panel.model_validate({"id": "p", "kind": kind, "source": source, **more})


def shown(data: Data, made: Panel, search: str = "from=now-1h") -> str:
    return to_html(run(content(data, made, view(search))))


class Texts(HTMLParser):
    """Tags and texts of a page; any tag that could run something fails the test."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.values: list[str] = []
        self.tags: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        given = dict(attrs)
        assert tag not in ("script", "iframe", "object")
        assert not any(name.startswith("on") for name in given)
        if tag == "img":
            assert (given["src"] or "").startswith("data:image/svg+xml,")
        if "data-value" in given:
            self.values.append(given["data-value"] or "")

    def handle_data(self, text: str) -> None:
        self.texts.append(text)


def test_bars_show_what_was_sent(data: Data, calls: list[Call]) -> None:
    page = Texts(shown(data, panel("bar")))
    assert [int(float(v)) for v in page.values] == sorted(
        Counter(c.api for c in calls).values(), reverse=True
    )
    assert HOSTILE_API in page.texts


def test_numbers_compare_with_the_range_before(data: Data, calls: list[Call]) -> None:
    made = panel("number", source={"measures": ["requests", "error_rate"]})
    page = Texts(shown(data, made))
    assert float(page.values[0]) == len(calls)
    errors = sum(c.status_code >= 500 for c in calls)
    assert float(page.values[1]) == errors / len(calls)
    # Nothing was measured in the hour before: nothing is compared.
    assert "vs before" not in "".join(page.texts)
    times = sorted(call.time for call in calls)
    half = times[len(times) // 2].strftime("%Y-%m-%dT%H:%M:%SZ")
    compared = Texts(shown(data, made, f"from={half}"))
    assert "".join(compared.texts).count("vs before") == 2


def test_the_panels_own_filter_wins_over_the_variables(data: Data, calls: list[Call]) -> None:
    own = panel("number", source={"measures": ["requests"], "filters": {"api": ["orders"]}})
    free = panel("number", source={"measures": ["requests"]})
    by_api = Counter(c.api for c in calls)
    assert float(Texts(shown(data, own, "from=now-1h&api=payments")).values[0]) == by_api["orders"]
    assert (
        float(Texts(shown(data, free, "from=now-1h&api=payments")).values[0]) == by_api["payments"]
    )


def test_tables_join_measures_by_group(data: Data, calls: list[Call]) -> None:
    made = panel(
        "table", source={"measures": ["requests", "errors", "p95_ms"], "by": ["api", "route"]}
    )
    answer = run(ask(data, made, view()))
    assert answer is not None
    rows = {(r["api"], r["route"]): r for r in answer.frame.iter_rows(named=True)}
    for key, group in _grouped(calls).items():
        assert rows[key]["requests"] == len(group)
        assert rows[key]["errors"] == sum(c.status_code >= 500 for c in group)
        assert rows[key]["p95_ms"] > 0
    assert len(rows) == len(_grouped(calls))


def _grouped(calls: list[Call]) -> dict[tuple[str, str], list[Call]]:
    out: dict[tuple[str, str], list[Call]] = {}
    for call in calls:
        out.setdefault((call.api, call.route), []).append(call)
    return out


CHARTS: dict[str, dict[str, Any]] = {
    "lines": {"kind": "time_series"},
    "areas": {"kind": "time_series", "style": "areas"},
    "bars": {"kind": "time_series", "style": "bars", "thresholds": [{"at": 1, "tone": "bad"}]},
    "quantiles": {"kind": "time_series", "source": {"measures": ["p50_ms", "p99_ms"]}},
    "rates": {"kind": "time_series", "source": {"measures": ["error_rate"], "by": ["consumer"]}},
    "others": {
        "kind": "time_series",
        "source": {"measures": ["requests"], "by": ["consumer"], "limit": 2},
    },
    "spread": {"kind": "heatmap", "source": {"measures": ["latency_spread"]}},
    "over time": {"kind": "heatmap"},
    "two names": {"kind": "heatmap", "source": {"measures": ["requests"], "by": ["api", "route"]}},
    "sql": {
        "kind": "time_series",
        "source": {
            "sql": "SELECT time_bucket(to_seconds($interval_s), time) AS t, api, count(*) AS n "
            "FROM requests WHERE time >= $start AND time < $end GROUP BY ALL"
        },
    },
}


@pytest.mark.parametrize("name", CHARTS)
@pytest.mark.parametrize("mode", ["dark", "light"])
def test_every_chart_is_a_figure_that_plotly_takes(data: Data, name: str, mode: str) -> None:
    made = panel(**CHARTS[name])
    looked = parse_view("from=now-1h", now=utc_now(), mode=mode)
    drawn = run(content(data, made, looked))
    figure = drawn.children.figure.to_plotly_json()
    go.Figure(figure)
    assert figure["data"], figure["layout"]
    assert "<img" not in json.dumps([t.get("name") for t in figure["data"]])


def test_a_chart_over_time_adds_up_to_all_requests(data: Data, calls: list[Call]) -> None:
    made = panel("time_series", source={"measures": ["requests"], "by": ["api"], "limit": 1})
    figure = run(content(data, made, view())).children.figure
    lines = [t for t in figure.data if t["name"] and t["y"] != [None]]
    assert [line["name"] for line in lines] == ["orders", "others"]
    assert sum(v or 0 for line in lines for v in line["y"]) == len(calls)


@pytest.mark.parametrize("kind", [k for k in KINDS if k not in ("text", "map")])
def test_hostile_names_are_text_in_every_kind(data: Data, kind: str) -> None:
    html = shown(data, panel(kind))
    Texts(html)
    assert "<img src=x" not in html


HOSTILE_SQL = (
    "SELECT '<script>alert(1)</script>' AS \"<b onmouseover=alert(1)>\", 1 AS n, "
    "'javascript:alert(1)' AS link"
)


@pytest.mark.parametrize("kind", [k for k in KINDS if k != "text"])
def test_what_sql_gives_is_text_in_every_kind(data: Data, kind: str) -> None:
    Texts(shown(data, panel(kind, source={"sql": HOSTILE_SQL})))


def test_markdown_can_only_say_things(data: Data) -> None:
    made = Panel(
        id="p",
        kind="text",
        text="# Hi\n<script>alert(1)</script> [x](javascript:alert(1)) [y](https://a.example)\n\n"
        "![z](https://spy.example/x.png)\n\n| a | b |\n|---|---|\n| **c** | `d` |\n"
        + "> " * 200
        + "deep",
    )
    page = Texts(shown(data, made))
    assert page.tags.count("a") == 1
    assert "img" not in page.tags
    assert {"h2", "table", "strong", "code"} <= set(page.tags)


def test_a_map_colours_countries_and_says_what_it_cannot_place(data: Data) -> None:
    made = panel(
        "map",
        source={
            "sql": "SELECT * FROM (VALUES ('DE', 5000), ('fr', 3), (NULL, 7), ('Europe', 9), "
            "('\"><script>', 1)) AS t(country, n)"
        },
    )
    drawn = run(content(data, made, view()))
    painted = json.loads(drawn.children[0].to_plotly_json()["props"]["data-gl-map"])
    assert set(painted["countries"]) == {"DE", "FR"}
    assert painted["countries"]["DE"][1] == "5k"
    assert painted["countries"]["DE"][0] != painted["countries"]["FR"][0]


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("SELECT * FROM nowhere", "nowhere"),
        ("DROP TABLE requests", "SELECT"),
        ("SELECT 1; SELECT 2", "one"),
        ("SELECT $nonsense", "nonsense"),
    ],
)
def test_wrong_sql_is_told_in_its_panel(data: Data, sql: str, said: str) -> None:
    page = Texts(shown(data, panel("table", source={"sql": sql})))
    assert said in "".join(page.texts)


def test_an_empty_panel_says_why(data: Data) -> None:
    for kind in ("bar", "table", "treemap"):
        told = shown(data, panel(kind), f"from=now-1h&consumer={quote('nobody <b>')}")
        assert "No requests in this time range with consumer nobody &lt;b&gt;." in told
    chart = run(
        content(
            data,
            panel("time_series", source={"measures": ["p95_ms"]}),
            view("from=now-1h&consumer=nobody"),
        )
    )
    assert "consumer nobody" in chart.children.figure.layout["annotations"][0]["text"]


def test_a_slow_question_is_given_up_in_its_panel(
    data: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    import threading

    gate = threading.Event()
    monkeypatch.setattr("dashboards.custom.panel_content.ask_measures", lambda *_: gate.wait(5))
    try:
        told = run(content(data, panel("bar"), view("from=now-59m"), seconds=0.05))
    finally:
        gate.set()
    assert "took longer than 0.05 s" in to_html(told)


def test_a_failure_of_ours_is_a_sentence_with_an_id(
    data: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr("dashboards.custom.panel_content.ask_measures", broken)
    told = to_html(run(content(data, panel("bar"), view("from=now-58m"))))
    assert "request id" in told
    assert "secret" not in told


@pytest.mark.parametrize("raw", [None, 7, "x", [], {}, {"id": "p", "kind": "bar"}])
def test_what_is_no_panel_gets_a_sentence(raw: object) -> None:
    assert not isinstance(read_panel(raw), Panel)


def test_sql_gets_only_the_parameters_it_names() -> None:
    looked = view("from=now-1h&api=a&api=b")
    sql = "SELECT '$end', \"$env\" -- $consumer\n FROM t WHERE time >= $start AND $api IS NULL"
    found = parameters(sql, looked)
    assert found == {"start": looked.start, "api": ["a", "b"]}
    assert parameters("SELECT $consumer", looked) == {"consumer": None}
    assert looked.end - looked.start == timedelta(hours=1)


def test_groups_without_an_idle_measure_are_zero_not_missing(data: Data) -> None:
    made = panel("table", source={"measures": ["requests", "aborted"], "by": ["api"]})
    answer = question.ask_measures(made, data.analytics, view())
    assert answer.frame["aborted"].to_list() == [0.0] * answer.frame.height
