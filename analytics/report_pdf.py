"""A report as a PDF: A4 pages with title, key numbers, charts drawn as vectors, and tables.

Noto Sans (embedded, only the glyphs used) writes Latin, Greek, Cyrillic and Devanagari; what it
lacks of Chinese, Japanese and Korean is written in the fonts every PDF viewer brings for them.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from xml.sax.saxutils import escape

from reportlab.lib.colors import Color, HexColor
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import (
    BaseDocTemplate,
    Flowable,
    Frame,
    KeepTogether,
    PageTemplate,
    Paragraph,
    Spacer,
    Table,
    TableStyle,
)

from analytics.report_chart import ChartFlowable
from analytics.report_content import KeyNumber, ReportContent, ReportTable
from analytics.report_html import ACCENT, BAD, GOOD, GREY, INK

FONT = "NotoSans"
_EAST_ASIAN = {"kana": "HeiseiKakuGo-W5", "hangul": "HYGothic-Medium", "han": "STSong-Light"}
_MARGIN = 18 * mm
_WIDTH = A4[0] - 2 * _MARGIN
_CELL_CHARS_MAX = 80
"""Of one name in a table; longer ones are cut, the CSV has them whole."""


def render_pdf(report: ReportContent) -> bytes:
    """The document. Same content, same bytes: no time of making is in it."""
    register_fonts()
    out = io.BytesIO()
    document = BaseDocTemplate(
        out,
        pagesize=A4,
        leftMargin=_MARGIN,
        rightMargin=_MARGIN,
        topMargin=_MARGIN,
        bottomMargin=_MARGIN,
        title=report.title,
        author="Gatelens",
        subject=report.subtitle,
        invariant=1,
    )
    frame = Frame(_MARGIN, _MARGIN, _WIDTH, A4[1] - 2 * _MARGIN, 0, 4 * mm, 0, 0)

    def footer(canvas: Canvas, _document: BaseDocTemplate) -> None:
        _draw_footer(canvas, report)

    document.addPageTemplates([PageTemplate("page", [frame], onPage=footer)])
    document.build(_story(report))
    return out.getvalue()


@cache
def register_fonts() -> None:
    """Once per process. Costs half a second: the font has 4,500 glyphs."""
    path = files("fontpkg_noto_sans") / "files" / "NotoSans[wdth,wght].ttf"
    with path.open("rb") as source:
        pdfmetrics.registerFont(TTFont(FONT, io.BytesIO(source.read())))
    for name in _EAST_ASIAN.values():
        pdfmetrics.registerFont(UnicodeCIDFont(name))


def markup(text: str) -> str:
    """Text for a Paragraph: escaped, with another font where Noto Sans has no glyph.

    'ab支払い' -> 'ab<font name="HeiseiKakuGo-W5">支払い</font>'. What no font has (an emoji) is
    shown as U+FFFD, not left out: two names must not look alike.
    """
    known = _glyphs()
    kana = any("\u3040" <= c <= "\u30ff" for c in text)
    runs: list[tuple[str, str]] = []
    for char in text:
        font = FONT if ord(char) in known else _other_font(char, kana=kana)
        shown = char if font else "\ufffd"
        if runs and runs[-1][0] == (font or FONT):
            runs[-1] = (runs[-1][0], runs[-1][1] + shown)
        else:
            runs.append((font or FONT, shown))
    return "".join(
        escape(part) if font == FONT else f'<font name="{font}">{escape(part)}</font>'
        for font, part in runs
    )


def _glyphs() -> Mapping[int, int]:
    """Glyph by code point, of Noto Sans."""
    font = pdfmetrics.getFont(FONT)
    assert isinstance(font, TTFont)
    found: Mapping[int, int] = font.face.charToGlyph
    return found


def _other_font(char: str, *, kana: bool) -> str | None:
    if "\u3040" <= char <= "\u30ff":
        return _EAST_ASIAN["kana"]
    if "\uac00" <= char <= "\ud7a3" or "\u1100" <= char <= "\u11ff":
        return _EAST_ASIAN["hangul"]
    if "\u3000" <= char <= "\u303f" or "\u4e00" <= char <= "\u9fff" or "\uff00" <= char <= "\uffef":
        return _EAST_ASIAN["kana" if kana else "han"]
    return None


def _style(
    size: float, colour: str = INK, *, right: bool = False, heading: bool = False
) -> ParagraphStyle:
    return ParagraphStyle(
        f"s{size}{colour}{right}{heading}",
        fontName=FONT,
        fontSize=size,
        leading=size * 1.35,
        textColor=HexColor(colour),
        alignment=2 if right else 0,
        spaceAfter=2 if heading else 0,
        keepWithNext=1 if heading else 0,
    )


def _story(report: ReportContent) -> list[Flowable]:
    story: list[Flowable] = [
        Paragraph(markup(report.title), _style(19)),
        Paragraph(markup(report.subtitle), _style(9.5, GREY)),
        Spacer(0, 5 * mm),
        _numbers(report.numbers),
        Spacer(0, 5 * mm),
    ]
    for chart in report.charts:
        if chart.labels:
            heading = Paragraph(markup(chart.title), _style(12))
            drawn = ChartFlowable(chart, _WIDTH, FONT, draw_text=markup)
            story += [KeepTogether([heading, Spacer(0, 2 * mm), drawn]), Spacer(0, 6 * mm)]
    for table in report.tables:
        story += _table(table)
    story.append(Paragraph(markup(report.note), _style(9, GREY)))
    return story


def _numbers(numbers: Sequence[KeyNumber]) -> Table:
    """The key numbers side by side, each in a light box."""
    cells = [
        [
            Paragraph(markup(n.label), _style(8.5, GREY)),
            Paragraph(markup(n.value), _style(16 if len(n.value) < 14 else 11)),
            Paragraph(markup(n.change), _style(8.5, _colour(n))),
        ]
        for n in numbers
    ]
    table = Table([cells], colWidths=[_WIDTH / len(cells)] * len(cells))
    table.setStyle(
        TableStyle(
            [
                ("BACKGROUND", (0, 0), (-1, -1), HexColor("#f4f6f9")),
                ("LINEBEFORE", (1, 0), (-1, -1), 4, HexColor("#ffffff")),
                ("LINEABOVE", (0, 0), (-1, 0), 1.5, HexColor(ACCENT)),
                ("VALIGN", (0, 0), (-1, -1), "TOP"),
                ("LEFTPADDING", (0, 0), (-1, -1), 8),
                ("TOPPADDING", (0, 0), (-1, -1), 6),
                ("BOTTOMPADDING", (0, 0), (-1, -1), 8),
            ]
        )
    )
    return table


def _colour(number: KeyNumber) -> str:
    return GREY if number.good is None else GOOD if number.good else BAD


def _table(table: ReportTable) -> list[Flowable]:
    """Heading and rows; the head is repeated on every page the table goes on to."""
    first, other = _style(8.5), _style(8.5, right=True)
    head = [_style(8, GREY), _style(8, GREY, right=True)]
    rows: list[list[Paragraph | str]] = [
        [Paragraph(markup(c), head[min(n, 1)]) for n, c in enumerate(table.columns)]
    ]
    for row in table.rows:
        rows.append([Paragraph(markup(_cut(c)), other if n else first) for n, c in enumerate(row)])
    if not table.rows:
        rows.append([Paragraph("No requests.", first), *[""] * (len(table.columns) - 1)])
    others = len(table.columns) - 1
    wide = _WIDTH * (0.36 if others > 2 else 0.4)
    body = Table(rows, colWidths=[wide, *[(_WIDTH - wide) / others] * others], repeatRows=1)
    rules: list[tuple[str, tuple[int, int], tuple[int, int], float, Color]] = [
        ("LINEBELOW", (0, 0), (-1, 0), 0.8, HexColor("#98a2b3")),
        ("LINEBELOW", (0, 1), (-1, -1), 0.3, HexColor("#e4e7ec")),
    ]
    body.setStyle(TableStyle([*rules, ("VALIGN", (0, 0), (-1, -1), "TOP"),
                              ("LEFTPADDING", (0, 0), (0, -1), 2),
                              ("TOPPADDING", (0, 0), (-1, -1), 2.5),
                              ("BOTTOMPADDING", (0, 0), (-1, -1), 2.5)]))  # fmt: skip
    title = Paragraph(markup(table.title), _style(12, heading=True))
    if len(rows) <= 12:
        return [KeepTogether([title, body]), Spacer(0, 6 * mm)]
    return [title, body, Spacer(0, 6 * mm)]


def _cut(text: str) -> str:
    return text if len(text) <= _CELL_CHARS_MAX else text[: _CELL_CHARS_MAX - 1] + "…"


def _draw_footer(canvas: Canvas, report: ReportContent) -> None:
    canvas.saveState()
    canvas.setFillColor(HexColor(GREY))
    note = Paragraph(markup(_cut(report.title)), _style(8, GREY))
    note.wrap(_WIDTH - 30 * mm, 10 * mm)
    note.drawOn(canvas, _MARGIN, 10 * mm)
    canvas.setFont(FONT, 8)
    canvas.drawRightString(A4[0] - _MARGIN, 11 * mm, f"Gatelens · page {canvas.getPageNumber()}")
    canvas.restoreState()
