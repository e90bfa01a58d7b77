"""Texts as codes: the same texts, whatever differs, repeats or is made to collide."""

from __future__ import annotations

import random

import numpy as np
import pyarrow as pa
import pytest

from collector.otlp.arrow import Source, coded_array, string_array
from collector.otlp.formats import OTLP_TRACES
from collector.otlp.text import encode
from storage.coded import plain
from tests.collector.otlp.compare import payload, rows_of
from tests.collector.otlp.test_admission import traces


def source_of(texts: list[bytes | None], split: int) -> tuple[Source, np.ndarray]:
    """The texts in the two buffers, those from `split` on in the second, and references."""
    data = b"".join(t or b"" for t in texts[:split])
    aux = b"".join(t or b"" for t in texts[split:])
    sizes = np.array([len(t or b"") for t in texts], dtype=np.int64)
    references = (np.cumsum(sizes) - sizes) << 32 | sizes
    references[[t is None for t in texts]] = -1
    return Source(np.frombuffer(data, np.uint8), np.frombuffer(aux, np.uint8)), references


@pytest.mark.parametrize("pick", [1, 3, 40, 5000])
@pytest.mark.parametrize("size", [3, 8, 11, 16, 40])
def test_codes_stand_for_the_same_texts(pick: int, size: int) -> None:
    rng = random.Random(size)
    some = [b"x" * rng.randrange(size) + b"%d" % i for i in range(pick)]
    texts = [rng.choice([None, b"", *some]) for _ in range(2000)]
    source, references = source_of(texts, 1000)
    array = coded_array(source, references)
    assert isinstance(array, pa.DictionaryArray) == (pick < 1000)
    array.validate(full=True)
    groups = np.array([rng.randrange(5) for _ in texts], np.int32)
    assert coded_array(source, references, groups=groups).equals(array)
    expected = [None if t is None else t.decode() for t in texts]
    assert array.to_pylist() == string_array(source, references).to_pylist() == expected
    if isinstance(array, pa.DictionaryArray):
        values = array.dictionary.to_pylist()
        assert len(set(values)) == len(values)
        assert None not in values


def test_nothing_but_null_has_codes_as_well() -> None:
    source, references = source_of([None, None], 1)
    assert coded_array(source, references).to_pylist() == [None, None]


def test_texts_that_differ_in_one_byte_spread_over_the_slots() -> None:
    """A few probes must do: else ordinary texts would be written without codes."""
    for size in (1, 4, 7, 8, 9, 15, 16, 23):
        for at in {0, size // 2, size - 1}:
            texts = [bytes(i if j == at else 65 for j in range(size)) for i in range(128)]
            source, references = source_of([*texts, *texts, *texts, *texts], 128)
            assert isinstance(coded_array(source, references), pa.DictionaryArray), (size, at)


def test_texts_made_to_collide_end_the_search() -> None:
    texts = [b"%d" % i for i in range(1000)]
    source, references = source_of(texts, 1000)
    codes, hashes = np.empty(1000, np.int32), np.empty(1000, np.uint64)
    slots = np.full(16, -1, np.int32)  # far too few: as if all fell on a few slots
    firsts = np.empty(1000, np.int64)
    none = np.empty(0, np.int32)
    out = (np.uint64(1), slots, hashes, firsts, codes)
    assert encode(source.data, source.aux, references, none, *out) == -1


def test_parts_with_and_without_codes_are_put_together(monkeypatch: pytest.MonkeyPatch) -> None:
    bodies = [
        traces(*[{"name": f"n{i % different}", "trace_state": "a=b"} for i in range(200)])
        for different in (1, 200, 3)
    ]
    many = [payload("otlp_traces", body) for body in bodies]
    whole = OTLP_TRACES.decode(many)
    monkeypatch.setattr("collector.otlp.formats.JOIN_BYTES_MAX", 1)
    apart = OTLP_TRACES.decode(many).tables["spans"]
    assert isinstance(
        OTLP_TRACES.decode(many[:1]).tables["spans"].column("name").dictionary, pa.Array
    )
    assert apart.column("name").type == pa.string()
    assert pa.types.is_dictionary(apart.column("trace_state").type)
    assert plain(apart.column("trace_state")).to_pylist() == ["a=b"] * 600
    assert rows_of(apart) == rows_of(whole.tables["spans"])
