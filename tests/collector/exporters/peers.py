"""Senders in other languages, built with their own tools from their own registries.

Each is built once per machine, in a cache folder, at the versions its manifest pins. Where the
toolchain is missing or the registry cannot be reached, the test is skipped and says why.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest

HERE = Path(__file__).parent
CACHE = Path(tempfile.gettempdir()) / "gatelens-test-senders"
BUILD_WITHIN_S = 400
SEND_WITHIN_S = 180
"""A Java VM alone has taken half a minute to start on a busy machine."""

JVM = ("-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
"""A VM that takes little: its own measure is the machine's memory and processors, and beside other
tests it may not get them."""


def javascript() -> list[str]:
    """Command of the Node sender."""
    folder = built(HERE / "js", "npm", [["npm", "install", "--no-audit", "--no-fund", "--silent"]])
    return ["node", str(folder / "send.mjs")]


def go() -> list[str]:
    """Command of the Go sender."""
    return [str(built(HERE / "go", "go", [["go", "build", "-o", "sender", "."]]) / "sender")]


def java() -> list[str]:
    """Command of the Java sender; JDK 11 and later run a source file as it is."""
    copy = ["mvn", "-q", "-B", "dependency:copy-dependencies", "-DoutputDirectory=lib"]
    compile_ = ["javac", "-encoding", "UTF-8", "-cp", "lib/*", "-d", "classes", "Send.java"]
    folder = built(HERE / "java", "mvn", [copy, compile_])
    return ["java", *JVM, "-cp", f"{folder / 'lib'}/*:{folder / 'classes'}", "Send"]


def send(command: Sequence[str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a sender to its end; it ends with 0 when no exporter had anything to complain about."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("OTEL_")}
    return subprocess.run(
        [*command, *arguments],
        env=environment,
        capture_output=True,
        encoding="utf-8",
        timeout=SEND_WITHIN_S,
        check=False,
    )


def built(source: Path, tool: str, steps: Sequence[Sequence[str]]) -> Path:
    """The folder of a program whose sources or manifest are in `source`, built now or by an
    earlier run."""
    language = source.name
    if shutil.which(tool) is None:
        pytest.skip(f"NOT TESTED: {tool} is not installed, so no {language} program was built")
    files = sorted(f for f in source.iterdir() if f.is_file())
    content = hashlib.sha256(b"\0".join(f.name.encode() + f.read_bytes() for f in files))
    folder = CACHE / f"{language}-{content.hexdigest()[:16]}"
    if (folder / "built").exists():
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for file in files:
        shutil.copy(file, folder)
    for step in steps:
        done = subprocess.run(
            step,
            cwd=folder,
            env=os.environ | {"MAVEN_OPTS": " ".join(JVM)},
            capture_output=True,
            text=True,
            timeout=BUILD_WITHIN_S,
            check=False,
        )
        if done.returncode:
            said = (done.stderr or done.stdout)[-2000:]
            # A sender that does not compile is a mistake of ours, a missing registry is not.
            if step[0] in ("npm", "mvn") or "dial tcp" in said or "proxy" in said:
                pytest.skip(f"NOT TESTED: {' '.join(step)} failed: {said}")
            pytest.fail(f"{' '.join(step)} failed: {said}")
    (folder / "built").touch()
    return folder
