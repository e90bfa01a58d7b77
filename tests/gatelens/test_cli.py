"""Commands as a person types them, in this process, on small real lakes."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner, Result

from gatelens.cli import app
from gatelens.output import OutputFormat, write_result
from gatelens.sentences import sentence_for
from storage.errors import LakeConflict
from storage.lake import Lake
from storage.settings import StorageSettings
from storage.stuck_commit import StuckCommit, clear_stuck, write_stuck
from tests.collector.core.logs import write_log

NOW = datetime.now(UTC).replace(microsecond=0)


@pytest.fixture
def data(tmp_path: Path) -> Iterator[Path]:
    """A data folder with three requests of two APIs."""
    folder = tmp_path / "data"
    rows = pa.table(
        {
            "time": pa.array(
                [NOW - timedelta(minutes=m) for m in (3, 2, 1)], pa.timestamp("us", "UTC")
            ),
            "tenant": ["default"] * 3,
            "api": ["orders", "orders", "payments"],
            "status_code": pa.array([200, 503, 200], pa.int16()),
            "duration_ms": [10.0, 20.0, 30.0],
        }
    )
    Lake(StorageSettings(data_dir=folder)).table("requests").append(rows, app_id="t", app_version=1)
    yield folder


def gatelens(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def test_sql_answers_in_json_with_numbers_as_numbers(data: Path) -> None:
    query = (
        "SELECT api, count(*) AS n, sum(status_code) AS s FROM requests GROUP BY api ORDER BY api"
    )
    done = gatelens("sql", query, "--format", "json", "--data", str(data))
    assert done.exit_code == 0
    assert json.loads(done.stdout) == [
        {"api": "orders", "n": 2, "s": 703},
        {"api": "payments", "n": 1, "s": 200},
    ]


def test_sql_binds_parameters_of_their_kind(data: Path) -> None:
    query = "SELECT count(*) AS n FROM requests WHERE api = $api AND status_code >= $status"
    asked = ("sql", query, "--format", "json", "--data", str(data))
    done = gatelens(*asked, "--param", "api=orders", "-p", "status=500")
    assert (done.exit_code, json.loads(done.stdout)) == (0, [{"n": 1}])
    hostile = gatelens(*asked, "-p", "api=x' OR 1=1 --", "-p", "status=0")
    assert json.loads(hostile.stdout) == [{"n": 0}]
    assert gatelens(*asked, "-p", "api").exit_code == 2


def test_a_refused_query_is_exit_code_1_and_a_sentence(data: Path) -> None:
    done = gatelens("sql", "DELETE FROM requests", "--data", str(data))
    assert done.exit_code == 1
    assert done.stderr.startswith("gatelens: ")
    assert gatelens("sql", "SELECT 1 AS one", "--data", str(data)).exit_code == 0


def test_schema_lists_every_table_without_a_lake() -> None:
    done = gatelens("sql", "--schema")
    assert done.exit_code == 0
    for name in ("requests", "spans", "usage_minute", "latency_quantile"):
        assert name in done.stdout


def test_jobs_run_counts_what_is_new_and_list_says_so(data: Path) -> None:
    assert "3 rows counted" in gatelens("jobs", "run", "usage_minute", "--data", str(data)).stdout
    assert "0 rows counted" in gatelens("jobs", "run", "usage_minute", "--data", str(data)).stdout
    assert "latency_minute" in gatelens("jobs", "list", "--data", str(data)).stdout


def test_doctor_finds_a_damaged_file(data: Path) -> None:
    assert gatelens("doctor", "--data", str(data)).exit_code == 0
    victim, *_ = (data / "lake" / "requests").rglob("*.parquet")  # two where an hour began between
    victim.write_bytes(victim.read_bytes()[:-20])
    done = gatelens("doctor", "--data", str(data))
    assert done.exit_code == 1
    assert victim.name in done.stderr


def test_doctor_says_what_the_log_holds_and_where_it_is_damaged(data: Path) -> None:
    write_log(data / "wal", [b"first body", b"second body", b"third body"])
    shown = gatelens("doctor", "--data", str(data))
    assert shown.exit_code == 0
    for fact in ("3 requests", "nginx: 3 records", "tenant default: 3 requests", "sequences 1..3"):
        assert fact in shown.stdout
    [segment] = (data / "wal").glob("*.wal")
    whole = segment.read_bytes()
    segment.write_bytes(whole + whole[-20:])
    torn = gatelens("doctor", "--data", str(data))
    assert (torn.exit_code, "unfinished tail" in torn.stdout) == (0, True), "a crash leaves that"
    segment.write_bytes(whole.replace(b"second", b"SECOND"))
    damaged = gatelens("doctor", "--data", str(data))
    assert damaged.exit_code == 1
    assert "DAMAGED" in damaged.stdout
    assert "write-ahead log" in damaged.stderr


def test_doctor_says_what_is_stuck(data: Path) -> None:
    write_log(data / "wal", [b"a body"])
    write_stuck(data / "wal", StuckCommit(0.0, 0.0, 7, 12, "OSError: [bold] no space"))
    stuck = gatelens("doctor", "--data", str(data))
    assert stuck.exit_code == 1
    assert "12 acknowledged requests" in stuck.stderr
    assert "7 attempts since 1970-01-01 00:00:00 UTC" in " ".join(stuck.stderr.split())
    assert "OSError: [bold] no space" in " ".join(stuck.stderr.split())
    clear_stuck(data / "wal")
    assert gatelens("doctor", "--data", str(data)).exit_code == 0


def test_a_backup_restores_to_the_same_answers(data: Path, tmp_path: Path) -> None:
    backup, restored = tmp_path / "backup", tmp_path / "restored"
    assert gatelens("backup", str(backup), "--data", str(data)).exit_code == 0
    assert gatelens("restore", str(backup), "--data", str(restored)).exit_code == 0
    query = ("sql", "SELECT * FROM requests ORDER BY time", "--format", "csv", "--data")
    assert gatelens(*query, str(restored)).stdout == gatelens(*query, str(data)).stdout


def test_import_reports_rejects_and_max_rejects_decides_the_exit_code(tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    log.write_text(
        '192.0.2.1 - - [21/Nov/2026:09:00:00 +0000] "GET /a HTTP/1.1" 200 5 "-" "curl/8"\nbroken\n'
    )
    done = gatelens("import", "nginx", str(log), "--data", str(tmp_path / "a"))
    assert done.exit_code == 0
    assert "1 stored, 1 rejected" in done.stdout
    strict = gatelens(
        "import", "nginx", str(log), "--max-rejects", "0", "--data", str(tmp_path / "b")
    )
    assert strict.exit_code == 1


def test_rules_check_says_the_line_of_a_mistake(tmp_path: Path) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_text("rules:\n  - name: a\n    mesure: error_rate\n    condition: '> 5%'\n")
    done = gatelens("rules", "check", str(rules))
    assert done.exit_code == 1
    assert "rules.yaml:3" in done.stderr
    assert "measure" in done.stderr


def test_formats_are_listed() -> None:
    done = gatelens("formats")
    assert done.exit_code == 0
    assert {"nginx", "kong", "envoy", "traefik"} <= {
        line.split()[0] for line in done.stdout.splitlines() if line.strip()
    }


def test_our_mistakes_keep_their_stack_trace_and_known_errors_become_a_sentence() -> None:
    assert sentence_for(ValueError("a bug")) is None
    known = sentence_for(LakeConflict("requests", "two writers"))
    assert known is not None
    assert known.exit_code == 2
    assert "two writers" in known.text


@pytest.mark.parametrize("output_format", list(OutputFormat))
def test_every_output_format_can_be_read_back(
    output_format: OutputFormat, capsys: pytest.CaptureFixture[str]
) -> None:
    table = pa.table({"n": [1, None], "text": ["[b]", "a\x1b[31m"], "list": [[1], None]})
    out = io.BytesIO()
    write_result(table, output_format, out)
    match output_format:
        case OutputFormat.table:
            printed = capsys.readouterr().out
            assert "[b]" in printed
            assert "\x1b" not in printed
        case OutputFormat.csv:
            assert out.getvalue().decode().splitlines()[0] == '"n","text","list"'
        case OutputFormat.json:
            assert [row["n"] for row in json.loads(out.getvalue())] == [1, None]
        case OutputFormat.arrow:
            assert pa.ipc.open_stream(out.getvalue()).read_all() == table
        case OutputFormat.parquet:
            assert pq.read_table(io.BytesIO(out.getvalue())).to_pylist() == table.to_pylist()
