"""`python -m tests.browser_check`: make sure there is a Chromium before the tests need one.

Exits 0 when there is; on Debian as root it installs the headless one, which is the quicker; else it
says in one line what to install.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

from tests.browser import HEADLESS_SHELL, find_chromium


def installed(package: str) -> bool:
    """Whether apt-get could install it."""
    command = ["apt-get", "install", "-y", "-q", package]
    return subprocess.run(command, check=False).returncode == 0


def main() -> int:
    may_install = hasattr(os, "geteuid") and os.geteuid() == 0 and shutil.which("apt-get")
    wanted = not os.environ.get("GATELENS_CHROMIUM") and not shutil.which(HEADLESS_SHELL)
    if may_install and wanted and not installed(HEADLESS_SHELL):
        subprocess.run(["apt-get", "update", "-q"], check=False)
        if not installed(HEADLESS_SHELL) and not find_chromium():
            installed("chromium")
    if find_chromium():
        return 0
    sys.stderr.write(
        "The browser tests need Chromium: install it (Debian: apt-get install chromium) "
        "or name one with GATELENS_CHROMIUM.\n"
    )
    return 1


if __name__ == "__main__":
    sys.exit(main())
