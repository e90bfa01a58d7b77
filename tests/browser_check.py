"""`python -m tests.browser_check`: make sure there is a Chromium before the tests need one.

Exits 0 when there is; on Debian as root it installs one; else it says in one line what to install.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

from tests.browser import find_chromium


def main() -> int:
    if find_chromium():
        return 0
    if hasattr(os, "geteuid") and os.geteuid() == 0 and shutil.which("apt-get"):
        subprocess.run(["apt-get", "update", "-q"], check=False)
        subprocess.run(["apt-get", "install", "-y", "-q", "chromium"], check=False)
        if find_chromium():
            return 0
    sys.stderr.write(
        "The browser tests need Chromium: install it (Debian: apt-get install chromium) "
        "or name one with GATELENS_CHROMIUM.\n"
    )
    return 1


if __name__ == "__main__":
    sys.exit(main())
