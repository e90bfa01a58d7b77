"""Reference pages made from the code: settings, tables, formats.

`make docs` writes them, a test compares.

python -m gatelens.reference docs/      writes docs/settings.md, docs/tables.md, docs/formats.md
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

from gatelens.settings import ENV_PREFIX, Settings, section_fields
from storage.schemas import TABLES, TableSpec

NOTICE = "<!-- Made by `make docs` from the code; edit the code instead. -->\n\n"


@dataclasses.dataclass(frozen=True, slots=True)
class SettingRow:
    """One line of the settings page."""

    key: str
    variable: str
    default: str
    description: str


def settings_page() -> str:
    """Every setting with its variable, default and meaning, section by section."""
    out = [
        "# Settings\n",
        "Read from `gatelens.toml` (or the file given with `--config` or `GATELENS_CONFIG`),",
        "overridden by environment variables, overridden by flags. An unknown key is an error.\n",
        "## Top of the file\n",
        *_setting_table(_top_rows()),
    ]
    for section, cls in section_fields().items():
        rows = list(_section_rows(section, cls))
        if rows:
            out += [f"## [{section}]\n", *_setting_table(rows)]
    return NOTICE + "\n".join(out)


def tables_page() -> str:
    """Every table and column of the lake, with type, unit and meaning."""
    out = [
        "# Tables\n",
        "Delta tables in `<data folder>/lake/`, partitioned by `tenant`, `day` (DATE) and `hour`",
        "(TINYINT) of `time` in UTC. Absent is NULL. `gatelens sql --schema` prints the same.\n",
    ]
    for spec in TABLES.values():
        out += [f"## {spec.name}\n", spec.description, "", *_column_table(spec)]
    return NOTICE + "\n".join(out)


def formats_page() -> str:
    """Every format the collector takes, with the sender's configuration."""
    from collector.formats import FORMATS

    out = [
        "# Formats\n",
        "What the collector takes, and what to write in the sender's configuration. Nothing else",
        "has to change at the sender.\n",
    ]
    for name, fmt in FORMATS.items():
        description = getattr(fmt, "description", "") or (inspect.getdoc(type(fmt)) or "")
        snippet = getattr(fmt, "snippet", "")
        out += [f"## {name}\n", description, ""]
        if snippet:
            out += ["```", textwrap.dedent(snippet).strip(), "```", ""]
    return NOTICE + "\n".join(out)


def roles_table() -> str:
    """Who may do what, of dashboards/roles.py, as in docs/people.md between its marks."""
    from dashboards.ids import NAV
    from dashboards.roles import PAGES, PERMISSIONS, ROLES

    lines = ["| role | for whom | sees | may |", "|---|---|---|---|"]
    lines += [
        f"| {spec.title} (`{name}`) | {spec.about} | {spec.rows} | "
        + ", ".join(f"`{p}`" for p in PERMISSIONS if p in spec.permissions)
        + " |"
        for name, spec in ROLES.items()
    ]
    lines += ["", "| permission | lets one |", "|---|---|"]
    lines += [f"| `{name}` | {about} |" for name, about in PERMISSIONS.items()]
    titles = " | ".join(spec.title for spec in ROLES.values())
    lines += ["", f"| screen | {titles} |", "|---" * (len(ROLES) + 1) + "|"]
    for item in NAV:
        seen = (PAGES[item.key] in spec.permissions for spec in ROLES.values())
        cells = " | ".join("yes" if one else "–" for one in seen)
        lines.append(f"| {item.label} (`{item.path}`) | {cells} |")
    return "\n".join(lines)


ROLES_BEGIN, ROLES_END = "<!-- roles: made by `make docs` -->", "<!-- end of roles -->"


def people_page(text: str) -> str:
    """docs/people.md with the table of roles made anew."""
    before, _, rest = text.partition(ROLES_BEGIN)
    _, _, after = rest.partition(ROLES_END)
    return f"{before}{ROLES_BEGIN}\n{roles_table()}\n{ROLES_END}{after}"


PAGES: dict[str, Callable[[], str]] = {
    "settings.md": settings_page,
    "tables.md": tables_page,
    "formats.md": formats_page,
}
"""File below docs/ and what writes it."""


def field_documentation(cls: type) -> dict[str, str]:
    """The string right beneath each field of a dataclass; '' where there is none."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(cls)))
    body = tree.body[0].body  # type: ignore[attr-defined]
    found: dict[str, str] = {}
    for node, following in zip(body, [*body[1:], None], strict=True):
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            text = ""
            if (
                isinstance(following, ast.Expr)
                and isinstance(following.value, ast.Constant)
                and isinstance(following.value.value, str)
            ):
                text = " ".join(following.value.value.split())
            found[node.target.id] = text
    return found


def _top_rows() -> Iterator[SettingRow]:
    for name, field in Settings.model_fields.items():
        if not dataclasses.is_dataclass(field.default):
            yield SettingRow(
                name, f"{ENV_PREFIX}{name}".upper(), _shown(field.default), field.description or ""
            )


def _section_rows(section: str, cls: type) -> Iterator[SettingRow]:
    documentation = field_documentation(cls)
    for field in dataclasses.fields(cls):
        if section == "storage" and field.name in Settings.model_fields:
            continue  # stands at the top of the file
        default = (
            field.default_factory()
            if field.default is dataclasses.MISSING and callable(field.default_factory)
            else field.default
        )
        yield SettingRow(
            field.name,
            f"{ENV_PREFIX}{section}_{field.name}".upper(),
            _shown(default),
            documentation.get(field.name, ""),
        )


def _shown(value: object) -> str:
    if value is None or value == "":
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return f"`{value}`"


def _setting_table(rows: Iterator[SettingRow] | list[SettingRow]) -> list[str]:
    lines = ["| key | variable | default | meaning |", "|---|---|---|---|"]
    lines += [
        f"| `{r.key}` | `{r.variable}` | {r.default} | {_cell(r.description)} |" for r in rows
    ]
    return [*lines, ""]


def _column_table(spec: TableSpec) -> list[str]:
    from storage.describe import sql_type

    lines = ["| column | type | unit | meaning |", "|---|---|---|---|"]
    lines += [
        f"| `{c.name}` | {_cell(sql_type(c.type))} | {c.unit} | {_cell(c.description)} |"
        for c in spec.columns
    ]
    return [*lines, ""]


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def write_pages(folder: Path) -> None:
    """Write every page; existing ones are replaced."""
    for name, make in PAGES.items():
        (folder / name).write_text(make(), encoding="utf-8")
    people = folder / "people.md"
    if people.exists():
        people.write_text(people_page(people.read_text("utf-8")), encoding="utf-8")


if __name__ == "__main__":
    write_pages(Path(sys.argv[1]))
