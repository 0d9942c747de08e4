"""`MetricDataQueries`: metrics and expressions that refer to each other by id."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from tidegate_embedded.cloudwatch.expressions import Expression, ExpressionError
from tidegate_embedded.cloudwatch.statistics import Reader, Series
from tidegate_embedded.cloudwatch.store import Metric

DEFAULT_PERIOD: Final = 60


class Queries:
    """The queries of one request, evaluated as they are needed.

    Parameters
    ----------
    queries
        As the CloudWatch API takes them.
    account, region
        Whose metrics they mean.
    """

    def __init__(
        self, queries: Sequence[Mapping[str, Any]], reader: Reader, *, account: str, region: str
    ) -> None:
        self._queries = {query["Id"]: query for query in queries}
        self._reader = reader
        self._scope = account, region
        self._found: dict[str, Series] = {}
        self._pending: list[str] = []

    def series(self, query_id: str) -> Series:
        """What the query gives.

        Raises
        ------
        ExpressionError
            It cannot be evaluated, names an unknown id, or refers to itself.
        InvalidStatisticError
            It asks for an unknown statistic.
        """
        if query_id not in self._found:
            if query_id in self._pending:
                raise ExpressionError(f"The id {query_id} refers to itself")
            self._pending.append(query_id)
            self._found[query_id] = self._evaluate(query_id)
            self._pending.remove(query_id)
        return self._found[query_id]

    def period(self, query_id: str) -> int:
        """The seconds between the values that the query gives."""
        query = self._queries[query_id]
        if "MetricStat" in query:
            return int(query["MetricStat"].get("Period") or DEFAULT_PERIOD)
        own = query.get("Period")
        periods = (int(each["MetricStat"].get("Period") or 0) for each in self._metrics())
        return int(own or max(periods, default=0) or DEFAULT_PERIOD)

    def _evaluate(self, query_id: str) -> Series:
        query = self._queries.get(query_id)
        if query is None:
            raise ExpressionError(f"No query has the id {query_id}")
        if "Expression" in query:
            return Expression(
                query["Expression"],
                lookup=self.series,
                metrics=[each["Id"] for each in self._metrics()],
                periods=list(self._reader.periods(self.period(query_id))),
            ).evaluate()
        wanted = query["MetricStat"]
        metric = metric_of(wanted["Metric"], *self._scope)
        return self._reader.series(metric, wanted["Stat"], self.period(query_id))

    def _metrics(self) -> list[Mapping[str, Any]]:
        return [query for query in self._queries.values() if "MetricStat" in query]


def metric_of(described: Mapping[str, Any], account: str, region: str) -> Metric:
    """The metric that a request describes: namespace, name, and exactly these dimensions."""
    dimensions = {each["Name"]: each["Value"] for each in described.get("Dimensions") or ()}
    return Metric.of(account, region, described["Namespace"], described["MetricName"], dimensions)
