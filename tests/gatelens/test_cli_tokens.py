"""`gatelens token`, as a person types it, and as the collector sees the file."""

from __future__ import annotations

import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner, Result

from collector.auth import Principal, TokenBook, hash_secret
from gatelens.cli import app
from gatelens.errors import TokenFileError, UnsafeBindError
from gatelens.settings import load_settings


def token(data: Path, *arguments: str) -> Result:
    return CliRunner().invoke(app, ["token", *arguments, "--data", str(data)])


def test_a_token_is_shown_once_and_kept_as_a_hash(tmp_path: Path) -> None:
    done = token(
        tmp_path, "create", "shop", "--tenant", "shop", "--environment", "prod", "--rate", "50"
    )
    assert done.exit_code == 0
    secret = done.stdout.strip()
    assert "\n" not in secret, "nothing else on standard output: it can be put into a variable"
    assert "tokens_file" in done.stderr, "says how to make the collector ask for it"
    path = tmp_path / "tokens.yaml"
    assert secret not in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert yaml.safe_load(path.read_text()) == {
        "tokens": [
            {
                "name": "shop",
                "sha256": hash_secret(secret),
                "tenant": "shop",
                "environment": "prod",
                "requests_per_s": 50.0,
                "created": datetime.now(UTC).date(),
            }
        ]
    }
    principal = TokenBook(path).authenticate(f"Bearer {secret}")
    assert principal == Principal("shop", "prod", "shop")


def test_list_shows_rights_and_never_secrets_or_hashes(tmp_path: Path) -> None:
    assert token(tmp_path, "list").exit_code == 0
    secret = token(tmp_path, "create", "shop", "--rate", "2.5").stdout.strip()
    token(tmp_path, "create", "other", "--tenant", "o")
    shown = token(tmp_path, "list").stdout
    assert "shop" in shown
    assert "2.5" in shown
    assert "other" in shown
    assert secret not in shown
    assert hash_secret(secret)[:12] not in shown


def test_a_revoked_token_is_gone_and_the_others_stay(tmp_path: Path) -> None:
    secrets = {name: token(tmp_path, "create", name).stdout.strip() for name in ("a", "b")}
    assert token(tmp_path, "revoke", "a").exit_code == 0
    book = TokenBook(tmp_path / "tokens.yaml")
    assert book.authenticate(f"Bearer {secrets['b']}").credential == "b"
    assert secrets["a"] not in (tmp_path / "tokens.yaml").read_text()
    assert "a " not in token(tmp_path, "list").stdout.replace("tenant", "")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("create", "shop"), "already"),
        (("create", "x", "--tenant", "../up"), "tenant"),
        (("create", "x", "--rate", "0"), "requests_per_s"),
        (("create", ""), "name"),
        (("revoke", "nobody"), "no token named"),
    ],
)
def test_a_mistake_is_one_sentence_and_changes_nothing(
    tmp_path: Path, arguments: tuple[str, ...], sentence: str
) -> None:
    token(tmp_path, "create", "shop")
    before = (tmp_path / "tokens.yaml").read_bytes()
    done = token(tmp_path, *arguments)
    assert isinstance(done.exception, TokenFileError)
    assert sentence in str(done.exception)
    assert "\n" not in str(done.exception)
    assert done.stdout == ""
    assert (tmp_path / "tokens.yaml").read_bytes() == before


def test_the_file_the_collector_reads_is_the_one_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GATELENS_COLLECTOR_TOKENS_FILE", str(tmp_path / "mine.yaml"))
    done = token(tmp_path, "create", "shop")
    assert "tokens_file" not in done.stderr, "it is set already"
    assert (tmp_path / "mine.yaml").exists()


def test_a_collector_that_asks_for_tokens_may_listen_everywhere_and_the_dashboards_may_not(
    tmp_path: Path,
) -> None:
    wide = {"host": "0.0.0.0"}
    with pytest.raises(UnsafeBindError, match="gatelens token create"):
        load_settings(overrides={"collector": wide}, environ={}).check_binds()
    asked = {**wide, "tokens_file": tmp_path / "tokens.yaml"}
    load_settings(overrides={"collector": asked}, environ={}).check_binds()
    with pytest.raises(UnsafeBindError, match=r"dashboard\.host"):
        load_settings(overrides={"collector": asked, "dashboard": wide}, environ={}).check_binds()
