"""The port opens with every kernel compiled: no request of any door waits for a compiler."""

from __future__ import annotations

import sys
from multiprocessing.connection import Connection

from numba.core.registry import CPUDispatcher
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from collector.backlog import Entry
from collector.batch import decode_batch
from collector.formats import FORMATS, inspect
from collector.naming import Naming
from collector.payload import Content, Payload
from collector.warm import warm_up
from storage.catalog import Catalog
from tests.collector.core.process import _context, traces
from tests.collector.core.signals import SIGNALS
from tests.collector.gateways.test_golden_cases import FOLDERS as GATEWAYS
from tests.collector.receivers.test_golden_cases import FOLDERS as RECEIVERS
from tests.collector.receivers.test_golden_cases import NOW_NS, payload_of


def _payload(body: bytes, format: str, content: Content) -> Payload:
    return Payload(body, format, content, "default", None, NOW_NS, "192.0.2.99")


def _secretive_logs() -> bytes:
    """What privacy rules look through: queries, header names, maps; an access log in records."""
    request = ExportLogsServiceRequest()
    records = request.resource_logs.add().scope_logs.add().log_records
    for number in range(50):
        record = records.add(time_unix_nano=NOW_NS)
        record.body.string_value = f"GET /a?token={number} authorization: Bearer {'z' * 90}"
        attributes = {
            "http.request.header.authorization": "Bearer q", "url.path": f"/a/{number}",
            "http.request.method": "GET", "http.response.status_code": "200",
            "duration_ms": "1.5", f"k{number}": "v",
        }  # fmt: skip
        for key, value in attributes.items():
            record.attributes.add(key=key).value.string_value = value
    return bytes(request.SerializeToString())


def _bodies() -> list[Payload]:
    """A body of every door and, for OTLP, of every signal and encoding."""
    found = [_payload(traces(1, 50), "otlp_traces", "protobuf")]
    found.append(_payload(_secretive_logs(), "otlp_logs", "protobuf"))
    for signal in SIGNALS:
        for json in (False, True):
            body = signal.body("shop", [False, True], json=json)
            found.append(_payload(body, signal.format, "json" if json else "protobuf"))
    for folder in GATEWAYS:
        if not (folder / "options.json").exists():
            [source] = folder.glob("input.*")
            content: Content = "json" if source.suffix == ".json" else "text"
            found.append(_payload(source.read_bytes(), folder.parent.name, content))
    return found + [payload_of(folder) for folder in RECEIVERS]


def _kernels() -> dict[str, set[object]]:
    """Every compiled function of the collector and what it is compiled for."""
    return {
        f"{found.py_func.__module__}.{found.py_func.__name__}": set(found.signatures)
        for name, module in list(sys.modules.items())
        if name.startswith("collector.")
        for found in vars(module).values()
        if isinstance(found, CPUDispatcher)
    }


def _compiled_late(told: Connection) -> None:
    """In a process that has decoded nothing yet: what the first bodies after the start compile."""
    naming = Naming(Catalog())
    warm_up(FORMATS, naming)
    ready = _kernels()
    late = {}
    bodies = _bodies()
    for number, payload in enumerate(bodies, 1):
        entry = Entry(number, payload, inspect(FORMATS[payload.format], payload).records, 0.0)
        decode_batch([entry], FORMATS, naming, _fail)
        for name, signatures in _kernels().items():
            if new := signatures - ready.get(name, set()):
                late[name] = f"by {payload.format}: {new}"
                ready[name] = signatures
    told.send((len(ready), {payload.format for payload in bodies}, late))


def _fail(entry: Entry) -> None:
    raise AssertionError(f"{entry.payload.format} was not decoded")


def test_no_kernel_is_compiled_after_the_start() -> None:
    ours, theirs = _context.Pipe(duplex=False)
    fresh = _context.Process(target=_compiled_late, args=(theirs,))
    fresh.start()
    theirs.close()
    kernels, formats, late = ours.recv()
    fresh.join()
    assert kernels > 30
    assert formats == set(FORMATS)
    assert late == {}
