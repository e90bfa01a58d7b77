"""Every test that the page of promises names is there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_every_promise_names_tests_that_exist() -> None:
    page = (ROOT / "docs/guarantees.md").read_text(encoding="utf-8")
    lines = [
        line for line in page.splitlines() if line.startswith("| ") and "| shown by" not in line
    ]
    missing = []
    for line in lines:
        named = re.findall(r"`([\w/]+\.py)::(test_\w+)`", line)
        assert named, f"no test is named by: {line}"
        for file, name in named:
            path = ROOT / "tests" / file
            if not (path.is_file() and f"def {name}(" in path.read_text(encoding="utf-8")):
                missing.append(f"{file}::{name}")
    assert lines
    assert not missing
