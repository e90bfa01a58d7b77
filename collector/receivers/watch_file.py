"""What to scrape and probe, from a YAML file.

scrapes:
  - job: kong
    targets: ["127.0.0.1:8001", "https://gw.example.com/metrics"]
    interval_s: 15
    timeout_s: 10
    labels: {datacenter: eu1}
    headers: {Authorization: "Bearer …"}     # or bearer_token_file: /run/secrets/token
probes:
  - name: orders
    url: https://orders.example.com/health
    interval_s: 30
    expect_status: [200]                      # default: 200 to 299
    expect: UP                                # text that must be in the answer
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from collector.errors import CollectorStartError

_Seconds = Annotated[float, Field(gt=0, le=86_400)]


class _Fetch(BaseModel):
    """What scrapes and probes have in common."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    interval_s: _Seconds = 30.0
    timeout_s: _Seconds = 10.0
    labels: dict[str, str] = {}
    headers: dict[str, str] = {}
    bearer_token_file: Path | None = None
    """Read before every fetch, so that tokens can rotate."""
    insecure_skip_verify: bool = False
    """True: any certificate will do."""

    @model_validator(mode="after")
    def _timeout_fits(self) -> _Fetch:
        if self.timeout_s > self.interval_s:
            raise ValueError("timeout_s must not exceed interval_s")
        return self


class Scrape(_Fetch):
    """Targets of one job."""

    job: str = Field(min_length=1, max_length=200)
    targets: list[str] = Field(min_length=1)
    """host:port, then http://…/metrics; or whole URLs."""

    def urls(self) -> list[str]:
        return [t if "://" in t else f"http://{t}/metrics" for t in self.targets]


class Probe(_Fetch):
    """One health endpoint."""

    name: str = Field(min_length=1, max_length=200)
    url: str = Field(pattern="^https?://")
    expect_status: list[int] = []
    """Empty: 200 to 299."""
    expect: str = ""
    """Text that must be in the answer; '' = any answer will do."""


class WatchFile(BaseModel):
    """The whole file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    scrapes: list[Scrape] = []
    probes: list[Probe] = []


def read_watch_file(path: Path | None) -> WatchFile:
    """None = nothing to watch. Raises CollectorStartError; its text holds no value of the file."""
    if path is None:
        return WatchFile()
    try:
        return WatchFile.model_validate(yaml.safe_load(path.read_text("utf-8")) or {})
    except ValidationError as err:
        first = err.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise CollectorStartError(f"The watch file {path}: {where}: {first['msg']}.") from None
    except yaml.YAMLError as err:
        raise CollectorStartError(f"The watch file {path} is not valid YAML.") from err
    except OSError as err:
        raise CollectorStartError(f"The watch file {path} cannot be read: {err}.") from err
