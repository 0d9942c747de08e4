"""Tells the default event bus when an execution starts and ends, as Step Functions does."""

import datetime
import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from ministack.core.responses import request_scope
from ministack.services import eventbridge

from tidegate_embedded.stepfunctions.executions import Execution

DETAIL_TYPE: Final = "Step Functions Execution Status Change"
_INCLUDED: Final = {"included": True}


class StatusEvents:
    """Puts the events in the order in which things happened."""

    def __init__(self) -> None:
        self._queue = ThreadPoolExecutor(1, thread_name_prefix="states-events")

    def publish(self, execution: Execution) -> None:
        """Put an event that tells the execution's status now."""
        entry = {
            "Source": "aws.states",
            "DetailType": DETAIL_TYPE,
            "Detail": json.dumps(_detail(execution)),
            "Resources": [execution.arn],
        }
        self._queue.submit(_put, execution.account, execution.region, entry)

    def close(self) -> None:
        """Put what waits, and stop."""
        self._queue.shutdown()


def _put(account: str, region: str, entry: dict[str, Any]) -> None:
    with request_scope(account, region):
        eventbridge._put_events({"Entries": [entry]}, allow_aws_source=True)


def _detail(execution: Execution) -> dict[str, Any]:
    return {
        "executionArn": execution.arn,
        "stateMachineArn": execution.machine_arn,
        "name": execution.name,
        "status": execution.status,
        "startDate": _milliseconds(execution.started),
        "stopDate": _milliseconds(execution.stopped) if execution.stopped else None,
        "input": execution.input_text,
        "inputDetails": _INCLUDED,
        "output": execution.output_text,
        "outputDetails": _INCLUDED if execution.output_text else None,
        "error": execution.error,
        "cause": execution.cause,
        "stateMachineVersionArn": None,
        "stateMachineAliasArn": None,
        "redriveCount": 0,
        "redriveDate": None,
        "redriveStatus": "NOT_REDRIVABLE",
        "redriveStatusReason": None,
    }


def _milliseconds(moment: datetime.datetime) -> int:
    return int(moment.timestamp() * 1000)
