"""The candidates that privacy's fast search picks: never one too few."""

from __future__ import annotations

import random
import re

import numpy as np
import pyarrow as pa
import pytest

from collector.privacy_rules import _HEADER
from collector.privacy_scan import with_parameters, with_secrets


@pytest.mark.parametrize(
    ("text", "query", "header"),
    [
        ("", 0, 0), ("plain", 0, 0), ("a=b", 0, 0), ("?x", 0, 0), ("a=b?", 1, 0), ("?a=", 1, 0),
        ("&a=b", 1, 0), ("authorization", 0, 1), ("AUTHORIZATION: x", 0, 1), ("uthorize", 0, 1),
        ("thorization", 0, 0), ("z", 0, 0), ("Set-Cookie: a", 0, 1), ("ookie", 0, 0),
        ("API_KEY", 0, 1), ("x-Api-Key", 0, 1), ("apikey", 0, 1), ("api--key", 0, 0), ("k", 0, 0),
        ("-key", 0, 0), ("ünauthorizatiön?ö=", 1, 1),
    ],
)  # fmt: skip
@pytest.mark.parametrize("before", [0, 1, 58, 63, 64, 200])
def test_candidates_are_found_wherever_they_lie(
    text: str, query: int, header: int, before: int
) -> None:
    padded = "." * before + text
    values = pa.array(["?=cookie", padded, None, padded + "." * 70, "apikey"])
    queries, headers = with_secrets(values.slice(1, 3))
    assert queries.tolist() == [bool(query), False, bool(query)]
    assert headers.tolist() == [bool(header), False, bool(header)]
    assert with_parameters(values.slice(1, 3)).tolist() == ["=" in text, False, "=" in text]


def test_whatever_the_expression_matches_is_a_candidate() -> None:
    rng = random.Random(5)
    words = ["Authorization", "cookie", "COOKIE", "api", "-", "_", "key", "KEY", ": ", '":"', "z",
             "Bearer ", "x" * 40, "ü", " "]  # fmt: skip
    texts = ["".join(rng.choices(words, k=rng.randrange(12))) for _ in range(5000)]
    _, headers = with_secrets(pa.array(texts))
    matched = np.array([re.search(_HEADER, text) is not None for text in texts])
    assert matched.sum() > 100
    assert not (matched & ~headers).any()


def test_values_that_are_all_null_are_no_candidates() -> None:
    values = pa.nulls(3, pa.string())
    assert not with_parameters(values).any()
    assert not any(found.any() for found in with_secrets(values))
