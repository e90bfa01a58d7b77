"""`gatelens token`: who may send to the collector.

A secret is shown once, at its creation, and kept nowhere; the file holds hashes. A running
collector that reads the file follows a change within seconds.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from gatelens.cli_options import Config, Data, console, errors, read_settings
from gatelens.errors import TokenFileError
from gatelens.settings import Settings

app = typer.Typer(help="Tokens of those who may send.", no_args_is_help=True, rich_markup_mode=None)

DEFAULT_FILE = "tokens.yaml"
"""In the data folder; where tokens go as long as `tokens_file` is not set."""

File = Annotated[
    Path | None, typer.Option("--file", help="The token file; default: collector.tokens_file.")
]


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="Whose it is: shows up in metrics and logs.")],
    tenant: Annotated[str, typer.Option(help="Where its data goes.")] = "default",
    environment: Annotated[
        str | None, typer.Option(help="Environment of all its data; default: what the data says.")
    ] = None,
    rate: Annotated[
        float | None, typer.Option(help="Requests a second it may send; default: no limit.")
    ] = None,
    file: File = None,
    data: Data = None,
    config: Config = None,
) -> None:
    """Make a token. The secret is the only line on standard output, and is shown this once."""
    from collector.token_file import add_token, make_token

    settings = read_settings(data, config)
    path = _path(settings, file)
    with _one_sentence(path):
        token, secret = make_token(
            name,
            tenant=tenant,
            environment=environment,
            requests_per_s=rate,
            created=datetime.now(UTC).date(),
        )
        add_token(path, token)
    typer.echo(secret)
    errors.print(f"Token {name!r} of tenant {tenant!r} is in {path}.", markup=False)
    errors.print("Send it as: Authorization: Bearer <token>", markup=False)
    if settings.collector.tokens_file is None:
        errors.print(
            f"The collector asks nobody for a token yet: set tokens_file = {json.dumps(str(path))} "
            "under [collector] and start it again.",
            markup=False,
        )


@app.command("list")
def list_tokens(file: File = None, data: Data = None, config: Config = None) -> None:
    """Names and rights; secrets are not kept and cannot be shown."""
    from collector.token_file import read_tokens

    path = _path(read_settings(data, config), file)
    with _one_sentence(path):
        tokens = read_tokens(path) if path.exists() else []
    table = Table("name", "tenant", "environment", "requests/s", "created", box=None)
    for token in tokens:
        table.add_row(
            token.name,
            token.tenant,
            token.environment or "",
            f"{token.requests_per_s:g}" if token.requests_per_s else "",
            f"{token.created or ''}",
        )
    console.print(table)


@app.command()
def revoke(
    name: Annotated[str, typer.Argument(help="Name of the token.")],
    file: File = None,
    data: Data = None,
    config: Config = None,
) -> None:
    """Take a token back: within seconds nothing is accepted with it any more."""
    from collector.token_file import remove_token

    path = _path(read_settings(data, config), file)
    with _one_sentence(path):
        if not remove_token(path, name):
            raise ValueError(f"it has no token named {name!r}")
    console.print(f"Token {name!r} is revoked.", markup=False)


def _path(settings: Settings, file: Path | None) -> Path:
    return file or settings.collector.tokens_file or settings.data_dir / DEFAULT_FILE


@contextmanager
def _one_sentence(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as err:
        raise TokenFileError(path, err) from err
