"""Make traffic safe where an execution ended before its work did.

It must work when nothing else does, so it shares nothing with the other tasks: the runtime's own
logging and the standard library are enough for it, and its package holds only what it imports.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tidegate.aws.guarding import connect_guardian
from tidegate.core.ports import Ports
from tidegate.core.workflow.guardian.guard import guard

_LOG = logging.getLogger("tidegate")
_LOG.setLevel(logging.INFO)


@dataclass(frozen=True)
class Guardian:
    """A Lambda handler: takes events of Step Functions, and those of the schedule."""

    ports: Callable[[], Ports] = connect_guardian

    def __call__(self, event: Mapping[str, Any], _context: object) -> dict[str, Any]:
        """Look at every lock and rollout once, and count what had to be done."""
        detail = event.get("detail") or {}
        execution, status = detail.get("executionArn", ""), detail.get("status", "")
        about = {"task": "guardian", "correlation_id": execution}
        ports = self.ports()
        try:
            guarded = guard(ports, {execution: status} if execution else {})
        except Exception:
            _LOG.exception("task failed", extra=about)
            raise
        _LOG.info("task done", extra={**about, **guarded})
        if guarded["secured"]:
            now = ports.clock.now().timestamp()
            sys.stdout.write(_metric("RolloutsGuarded", len(guarded["secured"]), now) + "\n")
        return {**guarded}


def _metric(name: str, value: int, now: float) -> str:
    """A line that CloudWatch takes for a metric: its embedded metric format."""
    unit = {"Name": name, "Unit": "Count"}
    metrics = {"Namespace": "Tidegate", "Dimensions": [[]], "Metrics": [unit]}
    told = {"Timestamp": int(now * 1000), "CloudWatchMetrics": [metrics]}
    return json.dumps({"_aws": told, name: value})


handler = Guardian()
