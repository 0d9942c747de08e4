"""What to watch of functions that events call: nobody waits for their answer and complains.

The names are those of Lambda's and SQS's metrics: "Types of metrics for Lambda functions" in the
Lambda guide, "Available CloudWatch metrics for Amazon SQS" in the SQS guide.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final

from tidegate.build.references import references, target_of
from tidegate.build.template import Template, of_type
from tidegate.core.model.plan import ManagedAlias, MetricPolicy, MetricQuery, MetricStat

MOST_ITERATOR_AGE_MS: Final = 60_000.0
"""A reader of a stream that is further behind lags, unless it did before the shift."""

_MAPPING: Final = "AWS::Lambda::EventSourceMapping"
_INVOKE_CONFIG: Final = "AWS::Lambda::EventInvokeConfig"
_QUEUE: Final = "AWS::SQS::Queue"


def event_metrics(
    template: Template, aliases: Collection[ManagedAlias]
) -> tuple[MetricPolicy, ...]:
    """Dead letters and iterator age of the functions that shift, one metric for each name."""
    found = [*_of_mappings(template, aliases), *_of_asynchronous(template, aliases)]
    return tuple({policy.query.name: policy for policy in found}.values())


def _of_mappings(template: Template, aliases: Collection[ManagedAlias]) -> Iterator[MetricPolicy]:
    """Functions that read streams fall behind; messages of queues end as dead letters."""
    for logical_id in of_type(template, _MAPPING):
        properties = template["Resources"][logical_id].get("Properties", {})
        function = _function(properties.get("FunctionName"), aliases)
        if not function:
            continue
        if "StartingPosition" in properties and "Topics" not in properties:  # those are Kafka's
            yield _lambda("iterator age", function, "IteratorAge", MOST_ITERATOR_AGE_MS)
        if letters := _dead_letters(template, properties):
            yield _visible(letters)


def _of_asynchronous(
    template: Template, aliases: Collection[ManagedAlias]
) -> Iterator[MetricPolicy]:
    """Events are dropped when all attempts have failed; a dead letter may be lost as well."""
    functions = sorted({alias.function for alias in aliases})
    for function in functions:
        if "DeadLetterConfig" in template["Resources"][function].get("Properties", {}):
            yield _lambda("dropped events", function, "AsyncEventsDropped", 0.0)
            yield _lambda("lost dead letters", function, "DeadLetterErrors", 0.0)
    for logical_id in of_type(template, _INVOKE_CONFIG):
        properties = template["Resources"][logical_id].get("Properties", {})
        function = _function(properties.get("FunctionName"), aliases)
        if function and "OnFailure" in properties.get("DestinationConfig", {}):
            yield _lambda("dropped events", function, "AsyncEventsDropped", 0.0)
            yield _lambda("lost failures", function, "DestinationDeliveryFailures", 0.0)


def _function(value: Any, aliases: Collection[ManagedAlias]) -> str:
    """The function that shifts and is meant here, by itself or by its alias; "" for another."""
    named = set(references({"FunctionName": value}))
    return next(
        (one.function for one in aliases if named & {one.function, one.alias_logical_id}), ""
    )


def _dead_letters(template: Template, mapping: Mapping[str, Any]) -> str:
    """The queue of this template that gets what could not be processed; "" when there is none."""
    resources = template["Resources"]
    source = resources.get(target_of(mapping.get("EventSourceArn")), {})
    redrive = source.get("Properties", {}).get("RedrivePolicy")
    on_failure = mapping.get("DestinationConfig", {}).get("OnFailure")
    found = references([redrive, on_failure])
    return next((name for name in found if resources.get(name, {}).get("Type") == _QUEUE), "")


def _lambda(what: str, function: str, metric: str, at_most: float) -> MetricPolicy:
    stat = MetricStat(
        namespace="AWS/Lambda",
        metric=metric,
        dimensions={"FunctionName": function},
        statistic="Maximum" if at_most else "Sum",
    )
    return _policy(f"{what} of {function}", stat, at_most)


def _visible(queue: str) -> MetricPolicy:
    """Messages that SQS itself moves are not counted as sent: what is there is what counts."""
    stat = MetricStat(
        namespace="AWS/SQS",
        metric="ApproximateNumberOfMessagesVisible",
        dimensions={"QueueName": queue},
        statistic="Maximum",
    )
    return _policy(f"dead letters in {queue}", stat, 0.0)


def _policy(name: str, stat: MetricStat, at_most: float) -> MetricPolicy:
    """None of these has data where nothing happens, and what was there before is no fault."""
    query = MetricQuery(name=name, stats={"value": stat})
    return MetricPolicy(query=query, at_most=at_most, missing=0.0, or_before=True)
