"""The lake in a bucket: the same promises, over conditional puts. Against moto's S3 server."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import obstore
import polars as pl
import pytest
from moto.server import DomainDispatcherApplication, ThreadedMotoServer
from obstore.store import S3Store

from storage import commit as commit_module
from storage.backup import backup, restore
from storage.check import check_lake
from storage.errors import (
    BackupError,
    CommitUncertain,
    LakeConflict,
    LakeError,
    StoreUnavailable,
)
from storage.lake import Lake, LakeTable
from storage.limits import GRACE_SECONDS
from storage.maintenance import maintain
from storage.notebook import Notebook
from storage.session import ReadSession
from storage.settings import StorageSettings
from storage.sql_worker import SqlPool
from storage.store_cache import KEEP_SECONDS, FileCache
from storage.store_object import ObjectStore
from tests.storage.conftest import HOUR, requests

DIGEST = "SELECT count(*) n, count(DISTINCT request_id) ids, sum(duration_ms) ms FROM requests"
SECRET = "canary-secret-key"
LATER = datetime.now(UTC) + timedelta(days=1)


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    # Moto looks whether a name is free and then writes, without a lock; real stores do it in one.
    handle, lock = DomainDispatcherApplication.__call__, threading.Lock()

    def one_at_a_time(self: Any, environ: Any, start: Any) -> Any:
        with lock:
            return handle(self, environ, start)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(DomainDispatcherApplication, "__call__", one_at_a_time)
        server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        server.start()
        host, port = server.get_host_and_port()
        yield f"http://{host}:{port}"
        server.stop()


@pytest.fixture
def environment(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "canary-key-id")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_REGION", "us-east-1")


@pytest.fixture
def settings(environment: None, endpoint: str, tmp_path: Path) -> StorageSettings:
    """A lake in a fresh prefix."""
    make_bucket(endpoint)
    return StorageSettings(
        data_dir=tmp_path / "data", lake_url=f"s3://gatelens-test/{tmp_path.name}/lake"
    )


def make_bucket(endpoint: str) -> None:
    import httpx

    httpx.put(f"{endpoint}/gatelens-test", timeout=60).raise_for_status()


def elsewhere(settings: StorageSettings, tmp_path: Path) -> StorageSettings:
    """The same lake from a machine that holds no copies."""
    return replace(settings, data_dir=tmp_path / "elsewhere")


def fill(table: LakeTable, commits: int, *, first: int = 0, app_id: str = "w") -> None:
    for number in range(first, first + commits):
        table.append(requests(3, first=number * 3), app_id=app_id, app_version=number)


def answer(settings: StorageSettings) -> object:
    with ReadSession(Lake(settings)) as session:
        return session.query(DIGEST).to_pylist()


def test_rows_are_appended_once_and_read_from_anywhere(
    settings: StorageSettings, tmp_path: Path
) -> None:
    table = Lake(settings).table("requests")
    fill(table, 3)
    assert table.append(requests(3), app_id="w", app_version=2) is None
    assert table.changes(0).rows == 9
    assert answer(elsewhere(settings, tmp_path)) == [{"n": 9, "ids": 9, "ms": 9.0}]
    assert not (settings.data_dir / "lake").exists()


def test_writers_on_several_machines_lose_and_double_nothing(
    settings: StorageSettings, tmp_path: Path
) -> None:
    def write(number: int) -> None:
        table = Lake(replace(settings, data_dir=tmp_path / str(number))).table("requests")
        for version in range(4):
            rows = requests(2, first=(number * 100 + version) * 10)
            table.append(rows, app_id=f"w{number}", app_version=version)

    threads = [threading.Thread(target=write, args=(n,)) for n in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with ReadSession(Lake(settings)) as session:
        assert session.query(DIGEST).to_pylist()[0]["n"] == 24
    assert Lake(settings).table("requests").version() == 12


def test_merging_changes_no_answer_and_sweeps_the_bucket(
    settings: StorageSettings, tmp_path: Path
) -> None:
    lake = Lake(settings)
    table = lake.table("requests")
    fill(table, 4)
    before = answer(settings)
    assert maintain(lake, LATER).files_merged == 4
    report = maintain(lake, LATER + timedelta(seconds=GRACE_SECONDS))
    assert report.files_swept == 4
    assert report.bytes_freed > 0
    names = [f.path for f in table.store.list("requests/") if f.path.endswith(".parquet")]
    assert names == [f"requests/{f.path}" for f in table.snapshot().files()]
    assert answer(elsewhere(settings, tmp_path)) == before
    assert table.changes(table.version() - 1).rows == 0


def test_retention_drops_hours_of_a_bucket_and_frees_them(settings: StorageSettings) -> None:
    kept = replace(settings, retention_raw_days=0, retention_tenant_days=(("gone", 1),))
    lake = Lake(kept)
    table = lake.table("requests")
    fill(table, 1)
    table.append(requests(5, tenant="gone"), app_id="g", app_version=1)
    expired = LATER + timedelta(days=1)
    assert maintain(lake, expired).files_expired == 1
    report = maintain(lake, expired + timedelta(seconds=GRACE_SECONDS))
    assert report.files_swept == 2 and report.bytes_freed > 0  # expired, and merged
    assert not [f for f in table.store.list("requests/") if "tenant=gone" in f.path]
    assert answer(kept) == [{"n": 3, "ids": 3, "ms": 3.0}]


def test_analysts_sql_runs_without_credentials_in_its_process(
    settings: StorageSettings, tmp_path: Path
) -> None:
    table = Lake(settings).table("requests")
    for hour in range(3):
        rows = requests(2, start=HOUR + timedelta(hours=hour), first=hour * 2)
        table.append(rows, app_id="w", app_version=hour)
    fresh = elsewhere(settings, tmp_path)
    with SqlPool(fresh) as pool:
        late = pool.run("SELECT count(*) n FROM requests WHERE time >= $1", params=[HOUR + HOURS_2])
        assert late.table["n"].to_pylist() == [2]
        assert len(copies(fresh)) == 1, "only the files that can match are fetched"
        assert pool.run("SELECT count(*) n FROM requests").table["n"].to_pylist() == [6]
        environment = Path(f"/proc/{pool._idle[0]._process.pid}/environ").read_bytes()
    assert b"canary" not in environment


HOURS_2 = timedelta(hours=2)


def copies(settings: StorageSettings) -> list[Path]:
    return list((settings.data_dir / "cache").rglob("*.parquet"))


def test_a_second_writer_with_the_same_app_id_is_refused(
    settings: StorageSettings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    ours = Lake(settings).table("requests")
    theirs = Lake(elsewhere(settings, tmp_path)).table("requests")
    original = commit_module.commit_info

    def overtaken(operation: str) -> object:
        monkeypatch.setattr(commit_module, "commit_info", original)
        theirs.append(requests(1), app_id="w", app_version=1)
        return original(operation)

    monkeypatch.setattr(commit_module, "commit_info", overtaken)
    with pytest.raises(LakeConflict, match="'w' went from None to 1"):
        ours.append(requests(1), app_id="w", app_version=1)
    assert len([f for f in ours.store.list("requests/") if "/l0-" in f.path]) == 1


def test_a_commit_sent_again_because_its_answer_got_lost_knows_itself(
    settings: StorageSettings,
) -> None:
    store = Lake(settings).store
    with store.drafted("requests/_delta_log", b"ours") as publish:
        assert publish("requests/_delta_log/x.json")
        assert publish("requests/_delta_log/x.json"), "refused by the file it made itself"
    with store.drafted("requests/_delta_log", b"theirs") as publish:
        assert not publish("requests/_delta_log/x.json")
    assert store.read("requests/_delta_log/x.json") == b"ours"


def test_a_commit_without_an_answer_is_uncertain_and_its_files_stay(
    settings: StorageSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = Lake(settings).table("requests")
    put = ObjectStore._create

    def lost(self: ObjectStore, path: str, data: bytes) -> bool:
        put(self, path, data)
        raise StoreUnavailable("create", path, "timed out")

    monkeypatch.setattr(ObjectStore, "_create", lost)
    with pytest.raises(CommitUncertain, match="Version 1 .*timed out.*retry"):
        table.append(requests(3), app_id="w", app_version=1)
    monkeypatch.undo()


@pytest.mark.usefixtures("environment")
def test_an_upload_that_fails_commits_nothing_and_tells_no_secret(
    settings: StorageSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = Lake(settings).table("requests")

    def refused(*_args: object, **_kwargs: object) -> object:
        raise obstore.exceptions.GenericError(f"403 for {SECRET}")

    monkeypatch.setattr(obstore, "put", refused)
    with pytest.raises(OSError, match=r"did not write .*requests/.*403") as caught:
        table.append(requests(3), app_id="w", app_version=1)
    monkeypatch.undo()
    monkeypatch.setenv("AWS_ENDPOINT_URL", table.store.url)
    assert SECRET not in str(caught.value)
    assert "***" in str(caught.value)
    assert table.version() == 0


@pytest.mark.parametrize(
    "url", ["s3://key:hidden@bucket/x", "s3://hidden@bucket", "s3://bucket/x?secret=hidden"]
)
def test_credentials_in_the_url_are_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(LakeError, match="in the environment") as caught:
        Lake(StorageSettings(lake_url=url))
    assert "hidden" not in str(caught.value)


@pytest.mark.usefixtures("often_checkpointed")
@pytest.mark.slow
def test_checkpoints_and_log_cleaning_work_in_a_bucket(
    settings: StorageSettings, tmp_path: Path
) -> None:
    lake = Lake(settings)
    table = lake.table("requests")
    fill(table, 12)
    maintain(lake, LATER)
    assert table.log.checkpoint_version() >= 10
    assert table.log.oldest_commit() == table.log.checkpoint_version()
    fresh = Lake(elsewhere(settings, tmp_path)).table("requests")
    assert fresh.app_version("w") == 11
    assert answer(settings) == answer(elsewhere(settings, tmp_path))


def test_doctor_finds_what_is_missing_and_what_is_cut(settings: StorageSettings) -> None:
    table = Lake(settings).table("requests")
    fill(table, 3)
    assert list(check_lake(settings, read_rows=True)) == []
    gone, cut, _whole = (f"requests/{f.path}" for f in table.snapshot().files())
    table.store.delete(gone)
    table.store.replace(cut, table.store.read(cut)[:-10])
    found = {p.path.rsplit("gatelens-test/")[-1].split("/lake/")[1]: p.reason
             for p in check_lake(settings)}  # fmt: skip
    assert found[gone] == "missing"
    assert "bytes instead of" in found[cut]


@pytest.mark.slow
def test_a_lake_can_be_saved_to_a_bucket_and_back(
    settings: StorageSettings, tmp_path: Path
) -> None:
    local = StorageSettings(data_dir=tmp_path / "local")
    fill(Lake(local).table("requests"), 2)
    place = settings.lake_url + "-backup"
    assert backup(local, place).files_copied == 2
    fill(Lake(local).table("requests"), 1, first=2)
    assert backup(local, place).files_copied == 1
    restore(place, settings)
    assert answer(settings) == answer(local)
    with pytest.raises(BackupError, match="is not empty"):
        restore(place, settings)
    backup(settings, tmp_path / "folder")
    again = StorageSettings(data_dir=tmp_path / "again")
    restore(tmp_path / "folder", again)
    assert answer(again) == answer(local)


def test_a_query_that_needs_more_than_may_be_kept_says_so(
    settings: StorageSettings, tmp_path: Path
) -> None:
    fill(Lake(settings).table("requests"), 2)
    small = replace(elsewhere(settings, tmp_path), lake_cache_mb=0)
    with pytest.raises(LakeError, match="Narrow the time range"):
        Notebook(Lake(small)).sql("FROM requests")


@pytest.mark.slow
def test_polars_reads_the_bucket_as_it_is(settings: StorageSettings, endpoint: str) -> None:
    table = Lake(settings).table("requests")
    fill(table, 2)
    frame = pl.scan_delta(
        f"{table.store.url}/requests", storage_options={"allow_http": "true"}
    ).collect()
    assert frame.height == 6


def test_the_cache_forgets_what_was_not_used_for_longest(tmp_path: Path) -> None:
    now = [1000.0]
    cache = FileCache(tmp_path, 250, clock=lambda: now[0])
    for name in ("a", "b", "c"):
        cache.put(f"t/{name}", [b"x" * 100])
        cache.missing([(f"t/{name}", 100)])
        now[0] += 1
    assert cache.evict() == 0, "all were used just now"
    cache.missing([("t/a", 100)])
    now[0] += KEEP_SECONDS
    assert cache.evict() == 100
    assert cache.missing([("t/a", 100), ("t/b", 100), ("t/c", 100)]) == [("t/b", 100)]
    assert cache.missing([("t/a", 99)]) == [("t/a", 99)], "a copy of another size is not one"


def test_a_bucket_is_left_alone_until_it_is_asked_for_something() -> None:
    assert ObjectStore("s3://nowhere/x/", Path("c"), 1).url == "s3://nowhere/x"
    assert S3Store.__name__ == "S3Store"
