"""What alerting needs to know. Read by `gatelens/` from file, environment and flags."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class AlertingSettings:
    """When and by which rules to alert, and where to. Frozen: made once per process."""

    rules_path: Path | None = None
    """Rules file, or a folder of `*.yaml` rules files. None = only the built-in rules."""

    builtin_rules: bool = True
    """Also evaluate the built-in rules and those of the catalog's SLOs; same name replaces."""

    channels_path: Path | None = None
    """File with channels and routes. None = alerts are kept and shown, and sent nowhere."""

    evaluate_interval_s: float = 5.0
    """Time between two evaluations of all rules; 0 is refused."""

    stale_after_s: float = 60.0
    """Data older than this is not judged: alerts keep their state and are shown as unmeasured."""

    settle_s: float = 1.0
    """How far evaluation stays behind the newest row, so that rows of one moment are together."""

    external_url: str = "http://127.0.0.1:8050"
    """Address of the dashboards, for the links in notifications."""

    tenant: str = "default"
    """Whose data the rules judge."""

    def validate(self) -> None:
        """Raises ValueError with one sentence when a number makes no sense."""
        if self.evaluate_interval_s <= 0:
            raise ValueError("alerting.evaluate_interval_s must be above 0; 5 is the default.")
        if self.stale_after_s <= self.settle_s:
            raise ValueError("alerting.stale_after_s must be above alerting.settle_s.")
