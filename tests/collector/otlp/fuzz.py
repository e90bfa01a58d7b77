"""The comparison with Google's decoder, for as long as wanted.

    python -m tests.collector.otlp.fuzz --seconds 600 [--seed N]

Starts from the bodies in tests/collector/otlp/corpus, then random ones. A body that the two
decoders differ on is written to the corpus, so that the suite keeps it; the run ends with code 1.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from tests.collector.otlp.compare import FORMATS, assert_same
from tests.collector.otlp.messages import Generator, WireGenerator

CORPUS = Path(__file__).parent / "corpus"
"""<format>.<name>.bin: bodies that once differed, or that are worth starting from."""

CORPUS_BYTES_MAX = 4096


def corpus() -> Iterator[tuple[str, bytes]]:
    """(format, body) of every file."""
    for path in sorted(CORPUS.glob("*.bin")):
        yield path.name.split(".")[0], path.read_bytes()


def bodies(seed: int) -> Iterator[tuple[str, bytes]]:
    """Endless: of every body also wounded forms."""
    seeds = list(corpus())
    number = seed * 1_000_003
    while True:
        number += 1
        tame, wild = Generator(number), WireGenerator(number)
        names = list(FORMATS)
        name = names[number % len(names)]
        body = tame.request(name, 0.2) if number % 2 else wild.request(name)
        if seeds and number % 7 == 0:
            name, body = seeds[number % len(seeds)]
        yield name, body
        for _ in range(8):
            yield name, tame.mutated(body)


def keep(format_name: str, body: bytes) -> Path:
    """Write a body to the corpus under the hash of its bytes."""
    CORPUS.mkdir(exist_ok=True)
    path = CORPUS / f"{format_name}.{hashlib.sha256(body).hexdigest()[:16]}.bin"
    path.write_bytes(body)
    return path


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    options = parser.parse_args(arguments)
    deadline = time.monotonic() + options.seconds
    read = refused = 0
    for format_name, body in bodies(options.seed):
        try:
            same = assert_same(format_name, body)
        except Exception as error:
            path = keep(format_name, body)
            sys.stdout.write(f"{path}: {type(error).__name__}: {str(error)[:2000]}\n")
            return 1
        read += same
        refused += not same
        if time.monotonic() > deadline:
            break
    sys.stdout.write(f"seed {options.seed}: {read} read alike, {refused} refused alike\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
