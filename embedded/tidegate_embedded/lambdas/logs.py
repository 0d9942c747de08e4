"""Invocation logs, in ministack's log groups: one stream per execution environment."""

import threading
import time
from typing import Any, Final

from ministack.core import responses
from ministack.services import cloudwatch_logs

from tidegate_embedded.lambdas.functions import FunctionVersion
from tidegate_embedded.lambdas.runtime import Outcome

_creating: Final = threading.Lock()


def write(version: FunctionVersion, outcome: Outcome) -> None:
    """Append the log of one invocation and pass it on to the group's subscriptions."""
    now_ms = int(time.time() * 1000)
    events = [{"timestamp": now_ms, "message": line} for line in outcome.log]
    with responses.request_scope(version.account, version.region):
        stream = _stream(version.log_group, outcome.log_stream)
        ingested = [{**event, "ingestionTime": now_ms} for event in events]
        cloudwatch_logs._append_log_events(stream, ingested)
        cloudwatch_logs._fanout_to_subscription_filters(
            version.log_group, outcome.log_stream, events
        )


def _stream(group_name: str, stream_name: str) -> dict[str, Any]:
    with _creating:
        group = cloudwatch_logs._log_groups.get(group_name)
        if group is None:
            cloudwatch_logs._create_log_group({"logGroupName": group_name})
            group = cloudwatch_logs._log_groups[group_name]
        if stream_name not in group["streams"]:
            cloudwatch_logs._create_log_stream(
                {"logGroupName": group_name, "logStreamName": stream_name}
            )
        stream: dict[str, Any] = group["streams"][stream_name]
        return stream
