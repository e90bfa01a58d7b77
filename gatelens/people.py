"""What commands need to know of people; argon2 and the store are loaded when first used."""

from __future__ import annotations

import getpass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dashboards.people.users import UserBook
    from gatelens.settings import Settings
    from storage.audit import Actor


def user_book(settings: Settings) -> UserBook:
    """Users of every tenant."""
    from dashboards.people.passwords import Passwords
    from dashboards.people.users import UserBook
    from storage.state import open_state

    return UserBook(open_state(settings.storage_settings), Passwords())


def anybody(settings: Settings) -> bool:
    """Whether people have to log in: there is a user, or single sign-on."""
    return bool(settings.dashboard.oidc_issuer) or user_book(settings).any()


def setup_link(settings: Settings) -> str:
    """Address that makes the first admin, once; those given before stop working."""
    from dashboards.people.links import LinkBook
    from storage.state import open_state

    return link_to(settings, LinkBook(open_state(settings.storage_settings)).for_setup())


def link_to(settings: Settings, secret: str) -> str:
    """Address of a link that works once."""
    from gatelens.up import dashboard_url

    base = settings.dashboard.public_url.rstrip("/") or dashboard_url(settings)
    return f"{base}/welcome/{secret}"


def this_person() -> Actor:
    """Whoever runs the command, for the audit log."""
    from storage.audit import Actor

    try:
        name = getpass.getuser()
    except (OSError, KeyError):
        name = "command line"
    return Actor(name, "cli")
