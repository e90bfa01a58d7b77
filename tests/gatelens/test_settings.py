"""Settings: precedence, and one clear sentence for every mistake."""

from __future__ import annotations

from pathlib import Path

import pytest

from gatelens.errors import SettingsError, UnsafeBindError
from gatelens.settings import known_variables, load_settings


def toml(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "gatelens.toml"
    path.write_text(text)
    return path


def test_flags_win_over_environment_and_environment_over_the_file(tmp_path: Path) -> None:
    path = toml(
        tmp_path,
        'data_dir = "from-file"\n[collector]\nhttp_port = 1001\ngrpc_port = 1002\n'
        "[dashboard]\nport = 1003\n",
    )
    environ = {"GATELENS_COLLECTOR_GRPC_PORT": "2002", "GATELENS_DASHBOARD_PORT": "2003"}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environ.items():
            patch.setenv(name, value)
        settings = load_settings(path, {"dashboard": {"port": 3003}, "lake_url": None})
    assert settings.data_dir == Path("from-file")
    assert settings.collector.http_port == 1001
    assert settings.collector.grpc_port == 2002
    assert settings.dashboard.port == 3003


def test_the_fixed_names_are_settings() -> None:
    assert {
        "GATELENS_DATA_DIR",
        "GATELENS_COLLECTOR_HTTP_PORT",
        "GATELENS_COLLECTOR_GRPC_PORT",
        "GATELENS_DASHBOARD_PORT",
        "GATELENS_LAKE_URL",
        "GATELENS_STATE_URL",
    } <= set(known_variables())


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("colector = 1", "unknown key 'colector'; did you mean 'collector'?"),
        ("[collector]\nhttp_prot = 1", "did you mean 'http_port'?"),
        ("collector = 4318", "[collector] is a section"),
        ("[collector]\nhttp_port = 'many'", "collector.http_port = 'many' cannot be used"),
        ("data_dir = ", "is not valid TOML"),
    ],
)
def test_a_mistake_in_the_file_is_one_sentence(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings(toml(tmp_path, text), environ={})
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_unknown_variable_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(SettingsError, match="did you mean 'GATELENS_COLLECTOR_HTTP_PORT'"):
        load_settings(environ={"GATELENS_COLLECTOR_HTTP_PROT": "1"})


def test_a_missing_file_says_so(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="there is no such file"):
        load_settings(tmp_path / "none.toml", environ={})


def test_listening_beyond_this_machine_needs_the_word() -> None:
    open_to_all = {"collector": {"host": "0.0.0.0"}}
    with pytest.raises(UnsafeBindError, match="--insecure"):
        load_settings(overrides=open_to_all, environ={}).check_binds()
    load_settings(overrides={**open_to_all, "insecure": True}, environ={}).check_binds()
