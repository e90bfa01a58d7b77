"""What can go wrong before a role runs. Each is one sentence for a person, with what to do.

GatelensError
├── SettingsError        an unknown key, a value of the wrong kind, a file that cannot be read
├── UnsafeBindError      asked to listen beyond this machine without saying that it is meant
├── PortInUse            something else listens where we would
├── TokenFileError       the file of tokens cannot be read, written or changed as asked
└── RoleFailed           a role ended at its first start; its own sentence was printed
"""

from __future__ import annotations

from pathlib import Path


class GatelensError(Exception):
    """Printed as one sentence, without a stack trace; the process exits with `exit_code`."""

    exit_code = 2


class SettingsError(GatelensError):
    """A setting is wrong. `source` is the file or variable it came from."""

    def __init__(self, source: str, message: str) -> None:
        super().__init__(f"{source}: {message}")
        self.source = source


class UnsafeBindError(GatelensError):
    """Listening on `host` would let others in without a token."""

    def __init__(self, setting: str, host: str, hint: str = "") -> None:
        """`hint`: how to make it safe, ending in a comma; '' = there is no way yet."""
        super().__init__(
            f"{setting} = {host!r} would be reachable from other machines and nobody is "
            f"asked for a token or password; {hint}keep 127.0.0.1, or say --insecure if the "
            "network is trusted."
        )
        self.setting = setting
        self.host = host


class TokenFileError(GatelensError):
    """`gatelens token` cannot do what was asked. Says no value of the file."""

    def __init__(self, path: Path, why: Exception) -> None:
        super().__init__(f"the token file {path}: {why}.")
        self.path = path


class PortInUse(GatelensError):
    """Another process listens on `port`."""

    def __init__(self, setting: str, host: str, port: int) -> None:
        super().__init__(
            f"port {port} on {host} is in use by another process; stop it, or choose another port "
            f"with {setting} in gatelens.toml."
        )
        self.setting = setting
        self.port = port


class RoleFailed(GatelensError):
    """A role could not start. Its reason is on the terminal above, or in its log."""

    def __init__(self, role: str, exit_code: int, log: str | None) -> None:
        where = f" Its log is {log}." if log else ""
        super().__init__(f"{role} could not start (exit code {exit_code}).{where}")
        self.exit_code = exit_code if 0 < exit_code < 126 else 1
