"""The comparison with Google's decoder, for as long as wanted.

    python -m tests.collector.otlp.fuzz --seconds 600 [--seed N] [--kept FOLDER]

Starts from the bodies in tests/collector/otlp/corpus and in the folder of earlier runs. Bodies that
reach something new (another answer, other numbers of rows) are mutated further, as are fresh ones,
and are kept in the folder. A body that the two decoders differ on is written to the corpus, so that
the suite keeps it; the run ends with code 1. The same seed, corpus and folder give the same run.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from collector.otlp.body import REASONS
from collector.otlp.scan import OK
from tests.collector.otlp.compare import FORMATS
from tests.collector.otlp.compare_many import Compared, Difference, compare_many
from tests.collector.otlp.messages import Generator, WireGenerator
from tests.collector.otlp.reference import REQUESTS
from tests.collector.otlp.wire_tree import TreeMutator, read_tree

CORPUS = Path(__file__).parent / "corpus"
"""<format>.<name>.bin: bodies that once differed. <format>.seeds: bodies worth starting from, one a
line in hex."""

POOL_MAX = 2000
"""Bodies of one format that are mutated further."""

POOL_BYTES_MAX = 600
"""Size of the largest of them: small bodies are quick, and wounds hit something that matters."""

BASES, FLIPPED_EACH, WOUNDED_EACH, CUMULATED = 10, 20, 80, 6


def corpus(folder: Path = CORPUS) -> Iterator[tuple[str, bytes]]:
    """(format, body) of every file."""
    for path in sorted(folder.glob("*.bin")):
        yield path.name.split(".")[0], path.read_bytes()
    for path in sorted(folder.glob("*.seeds")):
        for line in path.read_text("ascii").split():
            yield path.name.split(".")[0], bytes.fromhex(line)


class Fuzzer:
    """An endless, seeded source of bodies of one format that learns from what they reached."""

    def __init__(self, format_name: str, seed: int, bodies: list[bytes]) -> None:
        self.format_name = format_name
        self.random = random.Random(f"{format_name} {seed}")
        self._tame = Generator(self.random.randrange(2**32))
        self._wild = WireGenerator(self.random.randrange(2**32))
        self._trees = TreeMutator(self.random.randrange(2**32))
        self._descriptor = REQUESTS[format_name].DESCRIPTOR
        self.pool: dict[bytes, bytes] = {}
        """What was reached -> the smallest body that does."""
        self._bodies = bodies

    def batch(self) -> list[bytes]:
        """Some hundred bodies."""
        found = []
        for _ in range(BASES):
            base = self._base()
            found.append(base)
            found += [self._tame.mutated(base) for _ in range(FLIPPED_EACH)]
            found += self._tree_wounds(base)
            chance = self.random.random()
            if chance < 0.1 and len(base) < 300:
                found += [base[:size] for size in range(len(base))]
            elif chance < 0.4:
                other = self._base()
                at = self.random.randrange(len(base) + 1)
                found += [base + other, base[:at] + other + base[at:]]
        return found

    def _base(self) -> bytes:
        chance = self.random.random()
        if self._bodies and chance < 0.6:
            return self.random.choice(self._bodies)
        if chance < 0.8:
            return self._tame.request(self.format_name, 0.2)
        return self._wild.request(self.format_name)

    def _tree_wounds(self, base: bytes) -> Iterator[bytes]:
        for number in range(WOUNDED_EACH):
            if number % CUMULATED == 0:
                tree = read_tree(base, self._descriptor)
            if tree is None:
                return
            self._trees.wound(tree)
            yield tree.write()

    def learn(self, bodies: list[bytes], compared: Compared) -> None:
        """Keep those that reached something that none before did."""
        buckets = compared.counts.clip(0, 3).astype("u1")
        for body, status, counts in zip(bodies, compared.statuses.tolist(), buckets, strict=True):
            if len(body) > POOL_BYTES_MAX:
                continue
            reached = bytes([status, *counts.tolist()])
            known = self.pool.get(reached)
            if (known is None and len(self.pool) < POOL_MAX) or (
                known is not None and len(body) < len(known)
            ):
                self.pool[reached] = body
        # Of those that are read more can be learnt: what is in them counts.
        sound = [body for reached, body in self.pool.items() if reached[0] == OK]
        self._bodies = sound * 3 + list(self.pool.values())


def keep(format_name: str, body: bytes) -> Path:
    """Write a body to the corpus under the hash of its bytes."""
    CORPUS.mkdir(exist_ok=True)
    path = CORPUS / f"{format_name}.{hashlib.sha256(body).hexdigest()[:16]}.bin"
    path.write_bytes(body)
    return path


def save_pools(fuzzers: list[Fuzzer], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for fuzzer in fuzzers:
        lines = sorted({body.hex() for body in fuzzer.pool.values() if body})
        (folder / f"{fuzzer.format_name}.seeds").write_text("\n".join(lines) + "\n", "ascii")


def run(fuzzers: list[Fuzzer], *, seconds: float, bodies_max: int = 10**12) -> Counter[str]:
    """Compare until the time is over or `bodies_max` is reached. Raises Difference."""
    told: Counter[str] = Counter()
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and told["bodies"] < bodies_max:
        for fuzzer in fuzzers:
            bodies = fuzzer.batch()
            compared = compare_many(fuzzer.format_name, bodies)
            fuzzer.learn(bodies, compared)
            told["bodies"] += len(bodies)
            told["bytes"] += sum(map(len, bodies))
            told["read alike"] += compared.read
            told["refused alike"] += compared.refused
            told["records compared"] += compared.records
            told["records refused one by one"] += compared.rejected
            told.update(REASONS[status] for status in compared.statuses.tolist() if status)
    return told


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--kept", type=Path, default=Path(".fuzz"))
    options = parser.parse_args(arguments)
    sys.stdout.write(f"seed {options.seed}\n")
    sys.stdout.flush()
    known = [*corpus(), *corpus(options.kept)]
    fuzzers = []
    for name in FORMATS:
        bodies = [body for format_name, body in known if format_name == name]
        fuzzers.append(Fuzzer(name, options.seed, bodies))
        if bodies:
            fuzzers[-1].learn(bodies, compare_many(name, bodies))
    started = time.monotonic()
    try:
        told = run(fuzzers, seconds=options.seconds)
    except Difference as error:
        path = keep(error.format_name, error.body)
        sys.stdout.write(f"{path}: {str(error)[:3000]}\n")
        return 1
    finally:
        save_pools(fuzzers, options.kept)
    took = time.monotonic() - started
    for what, count in told.items():
        sys.stdout.write(f"{count:>14,} {what}\n")
    pools = ", ".join(f"{f.format_name} {len(f.pool)}" for f in fuzzers)
    sys.stdout.write(f"{took:>14,.0f} seconds; kept in {options.kept}: {pools}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
