"""Settings: `gatelens.toml`, overridden by GATELENS_* variables, overridden by flags.

Each room owns a frozen dataclass of what it needs; here they become sections. A key `http_port` of
the section `collector` is `[collector] http_port = …` in the file and GATELENS_COLLECTOR_HTTP_PORT
in the environment. A key nobody knows is an error with the nearest name, never ignored.
"""

from __future__ import annotations

import dataclasses
import difflib
import os
import tomllib
from collections.abc import Iterable, Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from alerting.settings import AlertingSettings
from analytics.settings import AnalyticsSettings
from collector.settings import CollectorSettings
from dashboards.settings import DashboardSettings
from gatelens.errors import SettingsError, UnsafeBindError
from gatelens.logging import LogFormat
from storage.settings import StorageSettings

DEFAULT_CONFIG = Path("gatelens.toml")
"""Read when it exists and no other file is named."""

ENV_PREFIX = "GATELENS_"
ENV_WITHOUT_SETTING = (
    "GATELENS_CONFIG",
    "GATELENS_CHROMIUM",
    "GATELENS_SUPERVISED",
    "GATELENS_DEMO_SINK_URL",
)
"""Variables with our prefix that are not settings."""

_TOKENS_HINT = "make tokens with `gatelens token create` and name their file in tokens_file, "

_USERS_HINT = (
    'add one with `gatelens user add --role admin`, or set login = "on" under [dashboard] and make '
    "the first admin with the link that is printed then, "
)


class Settings(BaseSettings):
    """All settings of one installation, checked. Made once per process."""

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX,
        env_nested_delimiter="_",
        env_nested_max_split=1,
        frozen=True,
        extra="forbid",
    )

    data_dir: Path = Field(Path("gatelens-data"), description="Folder of everything that is kept.")
    lake_url: str = Field(
        "",
        description="Where the tables are: a folder or s3://bucket/prefix; '' = <data_dir>/lake.",
    )
    state_url: str = Field(
        "", description="SQLAlchemy URL of the small state; '' = SQLite in the data folder."
    )
    catalog: Path | None = Field(
        None, description="catalog.yaml: APIs, products, plans, consumers; none = all uncatalogued."
    )
    insecure: bool = Field(
        False, description="Allow listening beyond this machine without tokens and users."
    )
    log_level: str = Field("info", description="debug, info, warning or error.")
    log_format: LogFormat = Field("auto", description="auto, json or console.")
    storage: StorageSettings = StorageSettings()
    collector: CollectorSettings = CollectorSettings()
    analytics: AnalyticsSettings = AnalyticsSettings()
    alerting: AlertingSettings = AlertingSettings()
    dashboard: DashboardSettings = DashboardSettings()

    _file_values: ClassVar[Mapping[str, Any]] = {}

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Flags, then environment; the file's values are merged below them in `load_settings`."""
        return init_settings, env_settings, _FileSource(settings_cls)

    @property
    def storage_settings(self) -> StorageSettings:
        """What storage needs, with the three names that stand at the top of the file."""
        return dataclasses.replace(
            self.storage,
            data_dir=self.data_dir,
            lake_url=self.lake_url,
            state_url=self.state_url,
        )

    def check_binds(self) -> None:
        """Refuse to let other machines in where nobody is asked who they are, unless `insecure`.

        The collector asks for tokens or client certificates where it is told to; the dashboards
        ask for a login where they are told to, or once there is a user. Raises UnsafeBindError.
        """
        collector = self.collector
        if not (collector.tokens_file or collector.tls_client_ca):
            self._check_bind("collector.host", collector.host, _TOKENS_HINT)
        if not _is_loopback(self.dashboard.host) and not self._login_asked():
            self._check_bind("dashboard.host", self.dashboard.host, _USERS_HINT)

    def _login_asked(self) -> bool:
        from gatelens.people import anybody

        return self.dashboard.login == "on" or self.insecure or anybody(self)

    def _check_bind(self, setting: str, host: str, hint: str) -> None:
        if not self.insecure and not _is_loopback(host):
            raise UnsafeBindError(setting, host, hint)


class _FileSource(PydanticBaseSettingsSource):
    """Values of the TOML file that `load_settings` has read and checked."""

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:
        return Settings._file_values.get(field_name), field_name, False

    def __call__(self) -> dict[str, Any]:
        return dict(Settings._file_values)


def load_settings(
    config: Path | None = None,
    overrides: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] = os.environ,
) -> Settings:
    """Read file, environment and flags. `overrides`: flags, nested by section; None is unset.

    Raises SettingsError with the source and what to do.
    """
    path = config or (Path(environ["GATELENS_CONFIG"]) if environ.get("GATELENS_CONFIG") else None)
    if path is None and DEFAULT_CONFIG.exists():
        path = DEFAULT_CONFIG
    values = _read_toml(path) if path else {}
    if path:
        _check_keys(values, str(path))
    _check_environment(environ)
    Settings._file_values = values
    try:
        return Settings(**_without_none(overrides or {}))
    except ValidationError as err:
        raise _explain(err, path) from err
    finally:
        Settings._file_values = {}


def section_fields() -> dict[str, type]:
    """Name of each section and the dataclass behind it."""
    return {
        name: type(field.default)
        for name, field in Settings.model_fields.items()
        if dataclasses.is_dataclass(field.default)
    }


def known_variables() -> list[str]:
    """Every GATELENS_* variable that is a setting."""
    names = [f"{ENV_PREFIX}{name}".upper() for name in Settings.model_fields]
    for section, cls in section_fields().items():
        names += [f"{ENV_PREFIX}{section}_{f.name}".upper() for f in dataclasses.fields(cls)]
    return names


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as err:
        raise SettingsError(str(path), "there is no such file; check --config.") from err
    except (OSError, UnicodeDecodeError) as err:
        raise SettingsError(str(path), f"cannot be read ({err}).") from err
    except tomllib.TOMLDecodeError as err:
        raise SettingsError(str(path), f"is not valid TOML: {err}.") from err


def _check_keys(values: Mapping[str, Any], source: str) -> None:
    sections = section_fields()
    for key, value in values.items():
        if key not in Settings.model_fields:
            raise SettingsError(source, _unknown(key, Settings.model_fields))
        if key in sections:
            if not isinstance(value, dict):
                raise SettingsError(source, f"[{key}] is a section; write its keys below it.")
            names = [f.name for f in dataclasses.fields(sections[key])]
            for name in value:
                if name not in names:
                    raise SettingsError(source, f"[{key}] " + _unknown(name, names))


def _check_environment(environ: Mapping[str, str]) -> None:
    known = known_variables()
    for name in environ:
        if name.startswith(ENV_PREFIX) and name not in known and name not in ENV_WITHOUT_SETTING:
            raise SettingsError("environment", _unknown(name, known))


def _unknown(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(known), n=1)
    hint = f"did you mean {near[0]!r}?" if near else "see docs/settings.md for the known ones."
    return f"unknown key {name!r}; {hint}"


def _explain(err: ValidationError, path: Path | None) -> SettingsError:
    first = err.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    return SettingsError(
        str(path) if path else "settings",
        f"{where} = {first.get('input')!r} cannot be used: {first['msg'].lower()}.",
    )


def _without_none(values: Mapping[str, Any]) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            out[key] = _without_none(value)
        elif value is not None:
            out[key] = value
    return out


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
