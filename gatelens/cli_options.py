"""Options that several commands share, and how they become settings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from gatelens.logging import configure_logging
from gatelens.settings import Settings, load_settings

console = Console(highlight=False, soft_wrap=True)
errors = Console(stderr=True, soft_wrap=True, highlight=False)

Data = Annotated[Path | None, typer.Option("--data", help="Folder of everything that is kept.")]
Config = Annotated[Path | None, typer.Option("--config", help="Settings file (gatelens.toml).")]
Insecure = Annotated[
    bool | None,
    typer.Option("--insecure", help="Allow listening beyond this machine without tokens."),
]


def read_settings(
    data: Path | None = None, config: Path | None = None, **overrides: Any
) -> Settings:
    """Settings for one command: file, environment, then the flags given here."""
    return load_settings(config, {"data_dir": data, **overrides})


def role_settings(
    role: str, data: Path | None, config: Path | None, insecure: bool | None
) -> Settings:
    """Settings of a role, checked; logging is set up and the supervisor watched."""
    from gatelens.supervisor import stop_when_orphaned

    settings = read_settings(data, config, insecure=insecure)
    settings.check_binds()
    configure_logging(role, settings.log_level, settings.log_format)
    stop_when_orphaned()
    return settings
