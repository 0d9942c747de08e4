"""The metrics that Lambda publishes of each invocation, in `AWS/Lambda`."""

from typing import Final

from tidegate_embedded.cloudwatch.store import Metric, Recorder
from tidegate_embedded.lambdas.functions import Target

NAMESPACE: Final = "AWS/Lambda"
_COUNT: Final = "Count"
_MILLISECONDS: Final = "Milliseconds"


class InvocationMetrics:
    """Records invocations under each set of dimensions that Lambda uses."""

    def __init__(self) -> None:
        self._recorder = Recorder()
        self._metrics: dict[tuple[str, ...], list[Metric]] = {}

    def record(
        self, target: Target, *, started: float, duration_ms: float, failed: bool, concurrency: int
    ) -> None:
        """Count an invocation that ran, at the time when it began (epoch)."""
        self._add(target, "Invocations", 1, _COUNT, started)
        self._add(target, "Errors", int(failed), _COUNT, started)
        self._add(target, "Throttles", 0, _COUNT, started)
        self._add(target, "Duration", duration_ms, _MILLISECONDS, started)
        self._add(target, "ConcurrentExecutions", concurrency, _COUNT, started)

    def record_throttle(self, target: Target, at: float) -> None:
        """Count an invocation that was refused for lack of concurrency."""
        self._add(target, "Throttles", 1, _COUNT, at)

    def _add(self, target: Target, name: str, value: float, unit: str, at: float) -> None:
        for metric in self._of(target, name):
            self._recorder.add(metric, value, unit, at)

    def _of(self, target: Target, name: str) -> list[Metric]:
        version = target.version
        key = version.account, version.region, target.resource, version.number, name
        if key not in self._metrics:
            self._metrics[key] = [
                Metric.of(version.account, version.region, NAMESPACE, name, dimensions)
                for dimensions in dimension_sets(target)
            ]
        return self._metrics[key]


def dimension_sets(target: Target) -> list[dict[str, str]]:
    """All functions of the region, the function, the invoked name, and the version behind it."""
    function = {"FunctionName": target.version.name}
    resource = {**function, "Resource": target.resource}
    sets = [{}, function, resource]
    if target.by_alias:
        sets.append({**resource, "ExecutedVersion": target.version.number})
    return sets
