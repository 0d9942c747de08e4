"""EventBridge of the embedded AWS: events of its services, and events for other accounts' buses."""

import json
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from typing import Any, Final

from ministack.core.responses import request_scope
from ministack.services import eventbridge

from tidegate_embedded.cloud import Cloud
from tidegate_embedded.gateway import Request, Response
from tidegate_embedded.patching import Patches

_PUT_EVENTS: Final = "AWSEvents.PutEvents"
_sender: Final[ContextVar[str]] = ContextVar("sender", default="")
"""The account that puts an event on a bus of another one."""


class EventBridgeGaps:
    """Puts events on the buses that their ARNs name, whose account that may be.

    The policy of a bus is not looked at: the embedded AWS checks hardly any permission.
    """

    def __init__(self) -> None:
        self._patches = Patches()

    def install(self, cloud: Cloud) -> None:
        """Hang the route into the endpoint."""
        self._patches.replace(eventbridge, "_dispatch_event", _as_the_sender_put_it)
        cloud.on_stop(self._patches.undo)
        cloud.add_route(self)

    def matches(self, request: Request) -> bool:
        """Whether an event is for a bus of another account of this region."""
        return request.target == _PUT_EVENTS and any(
            _owner(entry, request) != request.account for entry in request.json()["Entries"]
        )

    def handle(self, request: Request) -> Response:
        """Put each event in its bus's account; it says whose it is."""
        results = [_put(entry, request) for entry in request.json()["Entries"]]
        failed = sum("ErrorCode" in result for result in results)
        return Response.json({"FailedEntryCount": failed, "Entries": results})


def publish_service_event(
    *,
    account: str,
    region: str,
    source: str,
    detail_type: str,
    detail: Mapping[str, Any],
    resources: Sequence[str],
) -> None:
    """Put an event on the bus as the service `source` (such as `aws.codebuild`).

    PutEvents refuses sources that begin with `aws.`, here as in AWS: only services may use them.
    """
    entry = {
        "Source": source,
        "DetailType": detail_type,
        "Detail": json.dumps(detail),
        "Resources": list(resources),
    }
    with request_scope(account, region):
        eventbridge._put_events({"Entries": [entry]}, allow_aws_source=True)


def _owner(entry: Mapping[str, Any], request: Request) -> str:
    """The account of the entry's bus, if it is one of the request's region."""
    parts = str(entry.get("EventBusName", "")).split(":")
    is_arn_here = len(parts) > 5 and parts[3] == request.region  # noqa: PLR2004 - parts of an ARN
    return parts[4] if is_arn_here else request.account


def _put(entry: Mapping[str, Any], request: Request) -> dict[str, Any]:
    token = _sender.set(request.account)
    try:
        with request_scope(_owner(entry, request), request.region):
            _, _, body = eventbridge._put_events({"Entries": [entry]})
    finally:
        _sender.reset(token)
    (result,) = json.loads(body)["Entries"]
    return dict(result)


def _as_the_sender_put_it(original: Callable[..., None]) -> Callable[..., None]:
    """An event says which account it is from, wherever its bus is."""

    def dispatch(event: dict[str, Any], view: Any = None) -> None:
        if _sender.get():
            event["Account"], view = _sender.get(), None
        original(event, view)

    return dispatch
