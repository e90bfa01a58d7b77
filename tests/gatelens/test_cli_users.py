"""`gatelens user` and askers' tokens, as a person types them; a wide bind and who may open it."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from dashboards.people.errors import BadUser, NoSuchToken, NoSuchUser
from gatelens.cli import app
from gatelens.errors import UnsafeBindError
from gatelens.settings import load_settings
from storage.audit import read_audit
from storage.state import open_state


def gatelens(data: Path, *arguments: str, typed: str | None = None) -> Result:
    return CliRunner().invoke(app, [*arguments, "--data", str(data)], input=typed)


def test_somebody_is_added_changed_and_kept_out(tmp_path: Path) -> None:
    added = gatelens(tmp_path, "user", "add", "Ann@Example.com", "--role", "admin")
    assert added.exit_code == 0
    link = added.stdout.strip()
    assert link.startswith("http://127.0.0.1:8050/welcome/")
    again = gatelens(tmp_path, "user", "passwd", "ann@example.com", "--link").stdout.strip()
    assert again.startswith("http://127.0.0.1:8050/welcome/")
    assert again != link
    owner = gatelens(tmp_path, "user", "role", "ann@example.com", "api_owner", "--api", "orders")
    assert "api_owner" in owner.stdout
    listed = gatelens(tmp_path, "user", "list").stdout
    assert "ann@example.com" in listed
    assert "orders" in listed
    assert gatelens(tmp_path, "user", "disable", "ann@example.com").exit_code == 0
    assert "disabled" in gatelens(tmp_path, "user", "list").stdout
    state = open_state(load_settings(overrides={"data_dir": tmp_path}).storage_settings)
    entries = read_audit(state)
    assert {e.actor_kind for e in entries} == {"cli"}
    assert [e.action for e in entries] == [
        "user.disable", "user.change", "user.link", "user.link", "user.add",
    ]  # fmt: skip
    secret = link.rpartition("/")[2]
    assert secret not in repr(entries)
    assert "user.disable" in gatelens(tmp_path, "user", "audit").stdout


@pytest.mark.parametrize(
    ("arguments", "kind"),
    [
        (("user", "add", "bob", "--role", "root"), BadUser),
        (("user", "add", "bob", "--role", "app_developer"), BadUser),
        (("user", "add", "no spaces please"), BadUser),
        (("user", "passwd", "nobody", "--link"), NoSuchUser),
        (("user", "disable", "nobody"), NoSuchUser),
        (("token", "create", "x", "--for", "query", "--scope", "all"), BadUser),
        (("token", "revoke", "x", "--for", "query"), NoSuchToken),
    ],
)
def test_mistakes_are_one_sentence(
    tmp_path: Path, arguments: tuple[str, ...], kind: type[Exception]
) -> None:
    assert isinstance(gatelens(tmp_path, *arguments).exception, kind)


def test_the_two_kinds_of_tokens_are_not_mixed_up(tmp_path: Path) -> None:
    asks = gatelens(tmp_path, "token", "create", "report", "--for", "query", "--scope", "sql")
    assert asks.stdout.startswith("glq_")
    sends = gatelens(tmp_path, "token", "create", "report")
    assert sends.stdout.startswith("gl_")
    listed = gatelens(tmp_path, "token", "list").stdout
    assert "query" in listed
    assert "intake" in listed
    assert asks.stdout.strip() not in (tmp_path / "tokens.yaml").read_text()
    for wrong in (("--scope", "sql"), ("--for", "query", "--rate", "5")):
        assert gatelens(tmp_path, "token", "create", "other", *wrong).exit_code == 2
    assert gatelens(tmp_path, "token", "revoke", "report", "--for", "query").exit_code == 0
    listed = gatelens(tmp_path, "token", "list").stdout
    assert "query" not in listed
    assert "intake" in listed, "the sender's token of the same name is another"


def test_a_wide_bind_wants_people_or_a_word(tmp_path: Path) -> None:
    wide = {"data_dir": tmp_path, "dashboard": {"host": "0.0.0.0"}}
    with pytest.raises(UnsafeBindError, match="gatelens user add"):
        load_settings(overrides=wide).check_binds()
    load_settings(overrides={**wide, "insecure": True}).check_binds()
    asked = {**wide, "dashboard": {"host": "0.0.0.0", "login": "on"}}
    load_settings(overrides=asked).check_binds()
    setup = gatelens(tmp_path, "user", "setup").stdout.strip()
    assert "/welcome/" in setup
    password = "correct horse battery\n"
    added = gatelens(
        tmp_path, "user", "add", "ann", "--role", "admin", "--password-stdin", typed=password
    )
    assert added.exit_code == 0
    load_settings(overrides=wide).check_binds()
    assert isinstance(gatelens(tmp_path, "user", "setup").exception, BadUser)
