"""Every bound of custom dashboards: value, unit, what is bounded, what happens beyond it."""

from __future__ import annotations

PANELS_MAX = 60
"""Panels of one dashboard. Beyond: the definition is refused."""

COLUMNS = 12
"""Width of the grid, in columns."""

ROWS_MAX = 40
"""Height of one panel, in rows of 44 px and a gap. Beyond: refused."""

DEFINITION_BYTES_MAX = 100_000
"""One dashboard as YAML or JSON. Beyond: refused."""

MEASURES_MAX = 4
"""Measures of one panel. Beyond: refused."""

NAME_CHARS_MAX = 120
"""Title of a dashboard or panel, name of a folder. Beyond: refused."""

TEXT_CHARS_MAX = 10_000
"""Text of a text panel, SQL of a panel, description. Beyond: refused."""

PANEL_SECONDS_MAX = 20.0
"""Longest wait for the answer of one panel; then the panel says so. SQL is killed by then."""

SQL_ROWS_MAX = 5_000
"""Rows a panel's SQL may give; beyond, the panel draws those and says that there are more."""

GROUPS_DEFAULT = 10
"""Groups a panel shows when it does not say how many."""

GROUPS_MAX = 100
"""Groups one panel may show. Beyond: refused."""

VERSIONS_SHOWN = 200
"""Versions listed at once; older ones stay and can be asked by number."""

LINK_DAYS_MAX = 366
"""Longest life of a public link. Beyond: refused."""
