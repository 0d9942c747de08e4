"""Where asynchronous invocations report to: queues, topics, functions and buses."""

import json
import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from tidegate_embedded.lambdas.functions import LATEST, Target
from tidegate_embedded.lambdas.runtime import Outcome

logger = logging.getLogger(__name__)

ClientMaker = Callable[[str, str, str], Any]
"""Makes a boto3 client: service, account and region."""


def send(
    make_client: ClientMaker,
    target: Target,
    destination: str,
    body: str,
    attributes: Mapping[str, Any] | None = None,
) -> None:
    """Deliver `body` to the ARN `destination`, as the function's account."""
    service = destination.split(":")[2]
    if service not in _SENDERS:
        logger.error("%s cannot be the destination of %s", destination, target.arn)
        return
    client = make_client(service, target.version.account, target.version.region)
    _SENDERS[service](client, destination, body, attributes or {})


def _to_queue(client: Any, arn: str, body: str, attributes: Mapping[str, Any]) -> None:
    url = client.get_queue_url(QueueName=arn.rsplit(":", 1)[1])["QueueUrl"]
    client.send_message(QueueUrl=url, MessageBody=body, MessageAttributes=attributes)


def _to_topic(client: Any, arn: str, body: str, attributes: Mapping[str, Any]) -> None:
    client.publish(TopicArn=arn, Message=body, MessageAttributes=attributes)


def _to_function(client: Any, arn: str, body: str, _: Mapping[str, Any]) -> None:
    client.invoke(FunctionName=arn, InvocationType="Event", Payload=body.encode())


def _to_bus(client: Any, arn: str, body: str, _: Mapping[str, Any]) -> None:
    request = json.loads(body)["requestContext"]
    outcome = "Success" if request["condition"] == "Success" else "Failure"
    entry = {
        "EventBusName": arn,
        "Source": "lambda",
        "DetailType": f"Lambda Function Invocation Result - {outcome}",
        "Resources": [arn, request["functionArn"]],
        "Detail": body,
    }
    client.put_events(Entries=[entry])


_SENDERS: Mapping[str, Callable[[Any, str, str, Mapping[str, Any]], None]] = {
    "sqs": _to_queue,
    "sns": _to_topic,
    "lambda": _to_function,
    "events": _to_bus,
}


def invocation_record(target: Target, payload: bytes, outcome: Outcome, attempts: int) -> str:
    """What a destination gets: https://docs.aws.amazon.com/lambda/latest/dg/invocation-async.html"""
    context: dict[str, Any] = {"statusCode": 200, "executedVersion": target.version.number}
    if outcome.failed:
        context["functionError"] = "Unhandled"
    return json.dumps(
        {
            "version": "1.0",
            "timestamp": datetime.now(UTC).isoformat(timespec="milliseconds")[:-6] + "Z",
            "requestContext": {
                "requestId": outcome.request_id,
                "functionArn": target.arn if target.qualifier else f"{target.arn}:{LATEST}",
                "condition": "RetriesExhausted" if outcome.failed else "Success",
                "approximateInvokeCount": attempts,
            },
            "requestPayload": json.loads(payload),
            "responseContext": context,
            "responsePayload": json.loads(outcome.payload),
        }
    )


def failure_attributes(outcome: Outcome) -> dict[str, Any]:
    """What a dead-letter queue learns beside the event."""
    failure = json.loads(outcome.payload)
    message = str(failure.get("errorMessage") or failure.get("errorType") or "")[:1024]
    return {
        "RequestID": {"DataType": "String", "StringValue": outcome.request_id},
        "ErrorCode": {"DataType": "Number", "StringValue": "200"},
        "ErrorMessage": {"DataType": "String", "StringValue": message or "Unknown"},
    }
