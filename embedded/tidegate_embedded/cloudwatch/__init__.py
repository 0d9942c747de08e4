"""Gaps of the embedded CloudWatch: statistics, metric math, alarms."""

import time
from collections.abc import Callable
from typing import Final

from ministack.services import cloudwatch

from tidegate_embedded.cloud import Cloud
from tidegate_embedded.cloudwatch.alarms import AlarmEvaluator, ChangeEvents, evaluate_alarms
from tidegate_embedded.cloudwatch.api import answer_queries
from tidegate_embedded.cloudwatch.store import RETENTION_SECONDS, forget_before
from tidegate_embedded.patching import Patches

_EVICTION_SECONDS: Final = 600.0


class CloudWatchGaps:
    """Plug-in: reads metrics quickly and exactly, and evaluates alarms on them."""

    def install(self, cloud: Cloud) -> None:
        """Take over the metrics and alarms of `cloud`."""
        patches = Patches()
        evaluator = AlarmEvaluator(interval_seconds=lambda: cloud.delays.alarm_interval_seconds)
        answer_queries(patches)
        evaluate_alarms(patches, evaluator, ChangeEvents())
        patches.replace(cloudwatch, "_evict_old_metrics", lambda _: _evict_rarely())
        evaluator.start()
        cloud.on_stop(patches.undo)
        cloud.on_stop(evaluator.close)


def _evict_rarely() -> Callable[[], None]:
    """Forgets old points now and then; ministack would rewrite every list on every request."""
    last = time.monotonic()

    def evict() -> None:
        nonlocal last
        if time.monotonic() - last > _EVICTION_SECONDS:
            last = time.monotonic()
            forget_before(time.time() - RETENTION_SECONDS)

    return evict
