"""`gatelens token`: which programs may send to the collector, and which may ask the query API.

Two kinds, told apart by `--for`: senders' tokens (`gl_...`) are in a file that the collector reads;
askers' tokens (`glq_...`) are in the state store, with scopes. Neither opens the other's door. A
secret is shown once, at its creation, and only its hash is kept. Servers follow a change within
seconds.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.table import Table

from gatelens.cli_options import Config, Data, console, errors, read_settings
from gatelens.errors import TokenFileError
from gatelens.people import this_person
from gatelens.settings import Settings

if TYPE_CHECKING:
    from dashboards.people.tokens import ApiTokenBook

app = typer.Typer(
    help="Tokens of programs that send or ask.", no_args_is_help=True, rich_markup_mode=None
)

DEFAULT_FILE = "tokens.yaml"
"""In the data folder; where tokens go as long as `tokens_file` is not set."""

File = Annotated[
    Path | None, typer.Option("--file", help="The token file; default: collector.tokens_file.")
]

Use = Annotated[
    Literal["intake", "query"],
    typer.Option("--for", help="intake: sends to the collector. query: asks /api/v1."),
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
    use: Use = "intake",
    scope: Annotated[
        list[str] | None,
        typer.Option(help="query: analytics, telemetry, sql, alerts or admin. Repeat it."),
    ] = None,
    api: Annotated[
        list[str] | None, typer.Option("--api", help="query: sees this API only. Repeat it.")
    ] = None,
    consumer: Annotated[
        list[str] | None,
        typer.Option("--consumer", help="query: sees this application only. Repeat it."),
    ] = None,
    days: Annotated[
        float | None, typer.Option(help="query: days it lives; default: until it is revoked.")
    ] = None,
    file: File = None,
    data: Data = None,
    config: Config = None,
) -> None:
    """Make a token. The secret is the only line on standard output, and is shown this once."""
    from collector.token_file import add_token, make_token

    settings = read_settings(data, config)
    asks = scope or api or consumer or days is not None
    if use == "query":
        if environment or rate or file:
            raise typer.BadParameter("--environment, --rate and --file are for intake tokens.")
        secret = _query_book(settings).create(
            name,
            scope or ["analytics"],
            actor=this_person(),
            tenant=tenant,
            apis=api,
            consumers=consumer,
            days=days,
        )
        typer.echo(secret)
        errors.print("Send it to /api/v1 as: Authorization: Bearer <token>", markup=False)
        return
    if asks:
        raise typer.BadParameter("--scope, --api, --consumer and --days need --for query.")
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

    settings = read_settings(data, config)
    path = _path(settings, file)
    with _one_sentence(path):
        tokens = read_tokens(path) if path.exists() else []
    table = Table("name", "for", "tenant", "environment", "requests/s", "created", box=None)
    for token in tokens:
        table.add_row(
            token.name,
            "intake",
            token.tenant,
            token.environment or "",
            f"{token.requests_per_s:g}" if token.requests_per_s else "",
            f"{token.created or ''}",
        )
    console.print(table)
    asking = _query_book(settings).list()
    if asking:
        table = Table("name", "for", "tenant", "scopes", "sees only", "expires", box=None)
        for known in asking:
            expires = known.expires_at
            table.add_row(
                known.name,
                "query",
                known.tenant,
                ", ".join(known.scopes),
                ", ".join((*(known.apis or ()), *(known.consumers or ()))),
                "never" if expires is None else f"{datetime.fromtimestamp(expires, UTC):%Y-%m-%d}",
            )
        console.print(table)


@app.command()
def revoke(
    name: Annotated[str, typer.Argument(help="Name of the token.")],
    use: Use = "intake",
    file: File = None,
    data: Data = None,
    config: Config = None,
) -> None:
    """Take a token back: within seconds nothing is accepted with it any more."""
    from collector.token_file import remove_token

    settings = read_settings(data, config)
    if use == "query":
        _query_book(settings).revoke(name, actor=this_person())
        console.print(f"Token {name!r} is revoked.", markup=False)
        return
    path = _path(settings, file)
    with _one_sentence(path):
        if not remove_token(path, name):
            raise ValueError(f"it has no token named {name!r}")
    console.print(f"Token {name!r} is revoked.", markup=False)


def _query_book(settings: Settings) -> ApiTokenBook:
    from dashboards.people.tokens import ApiTokenBook
    from storage.state import open_state

    return ApiTokenBook(open_state(settings.storage_settings))


def _path(settings: Settings, file: Path | None) -> Path:
    return file or settings.collector.tokens_file or settings.data_dir / DEFAULT_FILE


@contextmanager
def _one_sentence(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as err:
        raise TokenFileError(path, err) from err
