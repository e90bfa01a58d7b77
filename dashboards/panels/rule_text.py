"""The rule as text: the panel it is written in, with what may be done to it."""

from __future__ import annotations

from dash import dcc, html

from alerting.rule_draft import Draft, draft_source
from dashboards.alert_desk import ShownRule
from dashboards.components import Component, button, panel

TEXT = "rule-text"
"""Id of the field the text stands in."""


def text_panel(shown: ShownRule | None, may: bool) -> Component:
    """shown: None = a new one. may: whether the asker may change it."""
    source = shown.source if shown else draft_source(Draft())
    stored = shown.stored if shown else None
    foot: list[Component] = []
    if may and source is not None:
        label = "Save" if stored or shown is None else "Save as a rule of this installation"
        foot.append(button(label, "rule-save", "primary"))
        if stored:
            foot.append(button("Delete", "rule-delete"))
    elif shown and shown.of_file:
        foot.append(html.Span("A file has the last word: change it there.", className="gl-sub"))
    foot.append(html.Span(id="rule-said", className="gl-sub", role="status"))
    text = dcc.Textarea(
        id=TEXT,
        value=source or "",
        className="gl-input",
        rows=16,
        maxLength=20_000,
        spellCheck=False,
        readOnly=not may,
        style={} if source is not None else {"display": "none"},
    )
    left = html.Div(
        [
            "There is a text you did not save (",
            html.Span(id="rule-draft-age"),
            "). ",
            button("Take it up again", "rule-draft-take"),
            " ",
            button("Throw it away", "rule-draft-drop"),
        ],
        id="rule-draft",
        className="gl-notice",
        hidden=True,
        role="status",
    )
    none = "Made from an objective of the catalog; change it there."
    return panel(
        "The rule",
        html.Div(
            [
                left,
                html.Label([html.Span("The rule as YAML", className="gl-unseen"), text]),
                html.Div(none, className="gl-none") if source is None else None,
                html.Div(id="rule-mistakes", className="gl-mistakes", role="status"),
                html.Div(foot, className="gl-form-foot"),
            ],
            className="gl-form-outer",
        ),
        note="what is saved; the same as in a rules file",
    )
