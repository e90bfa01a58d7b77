"""`gatelens user`: who may look at the screens. Works whether or not the servers run; they follow a
change within seconds."""

from __future__ import annotations

import getpass
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.table import Table

from gatelens.cli_options import Config, Data, console, errors, read_settings
from gatelens.people import link_to, setup_link, this_person, user_book
from gatelens.settings import Settings

app = typer.Typer(
    help="People who look at the screens.", no_args_is_help=True, rich_markup_mode=None
)

Name = Annotated[str, typer.Argument(help="To log in with; an e-mail address does.")]
RoleOption = Annotated[
    str,
    typer.Option(
        help="admin, operator, api_owner, api_developer, analyst, viewer or app_developer."
    ),
]
Apis = Annotated[
    list[str] | None,
    typer.Option("--api", help="An API it owns; `owner:<team>` = all of a team. Repeat it."),
]
Consumers = Annotated[
    list[str] | None, typer.Option("--consumer", help="Its application. Repeat it.")
]
Tenant = Annotated[str, typer.Option(help="Whose data it sees.")]


@app.command()
def add(
    name: Name,
    role: RoleOption = "viewer",
    tenant: Tenant = "default",
    api: Apis = None,
    consumer: Consumers = None,
    title: Annotated[str, typer.Option(help="As people call them.")] = "",
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read the password from standard input.")
    ] = False,
    data: Data = None,
    config: Config = None,
) -> None:
    """Add somebody. Without a password: prints a link with which they choose one, once."""
    from dashboards.people.users import place

    settings = read_settings(data, config)
    book = user_book(settings)
    given = place(role, tenant, api or (), consumer or ())
    password = _from_stdin() if password_stdin else None
    user = book.add(name, given, actor=this_person(), title=title, password=password)
    errors.print(f"{user.name} is added as {user.role} of tenant {user.tenant!r}.", markup=False)
    if password is None:
        _print_link(settings, user.name)


@app.command("list")
def list_users(data: Data = None, config: Config = None) -> None:
    """Everybody, with role, tenant and what narrows them."""
    table = Table("name", "role", "tenant", "sees only", "login by", "last login", box=None)
    for user in user_book(read_settings(data, config)).list():
        how = "single sign-on" if user.issuer else "password" if user.has_password else "link"
        table.add_row(
            user.name,
            user.role,
            user.tenant,
            ", ".join((*user.apis, *user.consumers)),
            "disabled" if user.disabled_at is not None else how,
            "never" if user.seen_at is None else f"{_utc(user.seen_at):%Y-%m-%d %H:%M}",
        )
    console.print(table)


@app.command()
def role(
    name: Name,
    role: Annotated[str, typer.Argument(help="The new role.")],
    tenant: Annotated[str | None, typer.Option(help="Another tenant; ends its logins.")] = None,
    api: Apis = None,
    consumer: Consumers = None,
    data: Data = None,
    config: Config = None,
) -> None:
    """Give another role, or other APIs or applications."""
    from dashboards.people.users import place

    book = user_book(read_settings(data, config))
    user = book.get(name)
    given = place(role, tenant or user.tenant, api or (), consumer or ())
    book.change(name, given, actor=this_person())
    console.print(f"{user.name} is {given.role} now.", markup=False)


@app.command()
def passwd(
    name: Name,
    link: Annotated[
        bool, typer.Option("--link", help="Print a link with which they choose one themselves.")
    ] = False,
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read it from standard input.")
    ] = False,
    data: Data = None,
    config: Config = None,
) -> None:
    """Set a password; every login of theirs ends."""
    settings = read_settings(data, config)
    if link:
        _print_link(settings, name)
        return
    book = user_book(settings)
    book.get(name)
    book.set_password(name, _from_stdin() if password_stdin else _typed(), actor=this_person())
    console.print("The password is set; every login with the old one has ended.")


@app.command()
def disable(name: Name, data: Data = None, config: Config = None) -> None:
    """Keep somebody out; every login of theirs ends."""
    user_book(read_settings(data, config)).set_disabled(name, True, actor=this_person())
    console.print(f"{name} is disabled.", markup=False)


@app.command()
def enable(name: Name, data: Data = None, config: Config = None) -> None:
    """Let somebody in again."""
    user_book(read_settings(data, config)).set_disabled(name, False, actor=this_person())
    console.print(f"{name} may log in.", markup=False)


@app.command()
def setup(data: Data = None, config: Config = None) -> None:
    """Print a link that makes the first admin, once; those printed before stop working."""
    from dashboards.people.errors import BadUser

    settings = read_settings(data, config)
    if user_book(settings).any():
        raise BadUser("There are users already; use `gatelens user add --role admin`.")
    typer.echo(setup_link(settings))


@app.command()
def audit(
    limit: Annotated[int, typer.Option(help="Newest entries to print.")] = 50,
    tenant: Annotated[str | None, typer.Option(help="Only of this tenant.")] = None,
    data: Data = None,
    config: Config = None,
) -> None:
    """Who did what, newest first."""
    from storage.audit import read_audit
    from storage.state import open_state

    table = Table("time (UTC)", "who", "from", "what", "to what", "how it ended", box=None)
    state = open_state(read_settings(data, config).storage_settings)
    for entry in read_audit(state, tenant=tenant, limit=max(1, limit)):
        when = f"{_utc(entry.at):%Y-%m-%d %H:%M:%S}"
        who = f"{entry.actor} ({entry.actor_kind})"
        table.add_row(when, who, entry.address, entry.action, entry.target, entry.outcome)
    console.print(table)


def _print_link(settings: Settings, name: str) -> None:
    from dashboards.people.links import PASSWORD_HOURS, LinkBook
    from storage.state import open_state

    user = user_book(settings).get(name)
    links = LinkBook(open_state(settings.storage_settings))
    errors.print(f"With this link {user.name} chooses a password, within {PASSWORD_HOURS} hours:")
    typer.echo(link_to(settings, links.for_password(user, this_person())))


def _from_stdin() -> str:
    return sys.stdin.readline().rstrip("\r\n")


def _typed(ask: Callable[[str], str] = getpass.getpass) -> str:
    from dashboards.people.errors import WeakPassword

    password = ask("New password: ")
    if ask("The same again: ") != password:
        raise WeakPassword("The two are not the same.")
    return password


def _utc(at: float) -> datetime:
    return datetime.fromtimestamp(at, UTC)
