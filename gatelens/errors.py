"""What can go wrong before a role runs. Each is one sentence for a person, with what to do.

GatelensError
├── SettingsError        an unknown key, a value of the wrong kind, a file that cannot be read
├── UnsafeBindError      asked to listen beyond this machine without saying that it is meant
├── PortInUse            something else listens where we would
└── RoleFailed           a role ended at its first start; its own sentence was printed
"""

from __future__ import annotations


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

    def __init__(self, setting: str, host: str) -> None:
        super().__init__(
            f"{setting} = {host!r} would be reachable from other machines and nobody is "
            "asked for a token or password; keep 127.0.0.1, or say --insecure if the network is "
            "trusted."
        )
        self.setting = setting
        self.host = host


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
