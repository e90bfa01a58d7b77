"""The books of a collector, read from /metrics: nothing may be missing in them."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from prometheus_client.parser import text_string_to_metric_families

_PREFIX = "gatelens_collector_"


@dataclass(slots=True)
class Books:
    """Sums over all labels, by format where one was known."""

    requests: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    records: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    gauges: dict[str, float] = field(default_factory=dict)

    @property
    def settled(self) -> bool:
        """Nothing is acknowledged and not in the lake yet."""
        return self.gauges["wal_lag_requests"] == 0

    def check(self) -> None:
        """received = accepted + deduplicated + refused, and
        accepted + replayed = stored + rejected + poisoned. Call it when nothing is under way."""
        assert self.settled, "there is still something to commit"
        requests, records = self.requests, self.records
        ended = requests["accepted"] + requests["duplicated"] + requests["refused"]
        assert requests["received"] == ended, dict(requests)
        taken = records["accepted"] + records["replayed"]
        gone = records["stored"] + records["rejected"] + records["poisoned"]
        assert taken == gone, dict(records)
        assert self.gauges["commit_lag_seconds"] == 0
        assert self.gauges["inflight_bytes"] == 0


def read_books(metrics: str) -> Books:
    """Books from Prometheus text. What was refused before it was a request of a format (broken
    HTTP, unknown paths) is left out: it was not received either."""
    books = Books()
    for family in text_string_to_metric_families(metrics):
        name = family.name.removeprefix(_PREFIX)
        for sample in family.samples:
            if family.type == "counter" and sample.labels.get("format") != "":
                kind, _, what = name.partition("_")
                if kind == "requests":
                    books.requests[what] += sample.value
                elif kind == "records":
                    books.records[what] += sample.value
            elif family.type == "gauge":
                books.gauges[name] = sample.value
    return books
