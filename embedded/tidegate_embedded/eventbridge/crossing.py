"""EventBridge of the embedded AWS: events go on to buses of other accounts that let them in."""

import json
import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from ministack.core.responses import get_account_id, get_region, request_scope
from ministack.services import eventbridge
from ministack.services.cloudformation import provisioners

from tidegate_embedded.cloud import Cloud
from tidegate_embedded.patching import Patches

logger = logging.getLogger(__name__)

_BUS: Final = "AWS::Events::EventBus"


class EventBridgeGaps:
    """Plug-in: the policy of a bus in a template counts, and a rule's target may be far away.

    https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-cross-account.html
    """

    def install(self, cloud: Cloud) -> None:
        """Apply the patches, until the embedded AWS stops."""
        patches = Patches()
        patches.replace(eventbridge, "_dispatch_to_event_bus", _across_accounts)
        handlers = provisioners._RESOURCE_HANDLERS[_BUS]
        own = dict(handlers)
        handlers["create"] = _with_policy(own["create"])
        cloud.on_stop(lambda: handlers.update(own))
        cloud.on_stop(patches.undo)


def _with_policy(create: Callable[..., Any]) -> Callable[..., Any]:
    """Keep the policy that a template gives its bus."""

    def made(logical_id: str, properties: Mapping[str, Any], stack: str) -> Any:
        name, attributes = create(logical_id, properties, stack)
        policy = properties.get("Policy")
        if policy:
            eventbridge._event_bus_policies[name] = (
                json.loads(policy) if isinstance(policy, str) else policy
            )
        return name, attributes

    return made


def _across_accounts(own: Callable[..., None]) -> Callable[..., None]:
    """Hand the event to the other account's bus; it stays an event of where it came from."""

    def dispatch(spec: Any, event: Mapping[str, Any], *more: Any) -> None:
        there = (spec.account_id, spec.region)
        if there == (get_account_id(), get_region()):
            own(spec, event, *more)
            return
        sender = get_account_id()
        with request_scope(*there):
            bus = spec.resource.partition("/")[2]
            if not allows(eventbridge._event_bus_policies.get(bus) or {}, sender, event):
                logger.warning("bus %s of %s lets in nothing from %s", bus, there, sender)
                return
            eventbridge._dispatch_event({**event, "EventBusName": bus})

    return dispatch


def allows(policy: Mapping[str, Any], sender: str, event: Mapping[str, Any]) -> bool:
    """Whether the policy of a bus lets this account put this event on it."""
    return any(_allows(statement, sender, event) for statement in policy.get("Statement", ()))


def _allows(statement: Mapping[str, Any], sender: str, event: Mapping[str, Any]) -> bool:
    principal = statement.get("Principal", {})
    accounts = _listed(principal if isinstance(principal, str) else principal.get("AWS", ()))
    wanted = statement.get("Condition", {}).get("StringEquals", {})
    known = {"events:source": event["Source"], "events:detail-type": event["DetailType"]}
    return (
        statement.get("Effect") == "Allow"
        and any(account in {"*", sender} or f"::{sender}:" in account for account in accounts)
        and "events:PutEvents" in _listed(statement.get("Action", ()))
        and all(known.get(key) in _listed(values) for key, values in wanted.items())
    )


def _listed(value: str | Iterable[str]) -> list[str]:
    return [value] if isinstance(value, str) else list(value)
