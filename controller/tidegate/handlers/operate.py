"""Do what an operator asks."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Literal

import boto3
from pydantic import Field

from tidegate.aws.idempotency import do_once
from tidegate.aws.identity import verify
from tidegate.aws.settings import settings
from tidegate.core.approval.identity import (
    check_account,
    check_right,
    check_voter,
    identify,
    subject_of,
)
from tidegate.core.text.quantities import parse_share
from tidegate.core.workflow.operator.aborts import abort
from tidegate.core.workflow.operator.approvals import approve, reject
from tidegate.core.workflow.operator.controls import pause, promote, resume, set_weight
from tidegate.core.workflow.operator.requests import Operator
from tidegate.core.workflow.operator.starts import retry, rollback
from tidegate.core.workflow.operator.traffic_rollback import rollback_now
from tidegate.core.workflow.operator.unlock import unlock
from tidegate.handlers.task import Answer, Call, Event, count, task

Verb = Literal[
    "approve",
    "reject",
    "abort",
    "pause",
    "resume",
    "promote",
    "promote-full",
    "set-weight",
    "retry",
    "rollback",
    "rollback-now",
    "unlock",
]


class OperateEvent(Event):
    """What is asked, and the proof of who asks."""

    verb: Verb
    release_id: str
    stage: str = ""
    reason: str = ""
    argument: str = ""  # the weight, the release to go back to, or the typed confirmation
    shown: str = ""  # the digest of what an approval is asked for
    identity_proof: Mapping[str, Any] = Field(repr=False)

    @property
    def about(self) -> str:
        """The release."""
        return self.release_id

    def subject(self, controller: str) -> str:
        """What the proof must be for, of this controller."""
        return subject_of(
            controller,
            self.verb,
            self.release_id,
            self.stage,
            argument=self.argument,
            reason=self.reason,
            shown=self.shown,
        )

    @property
    def signed(self) -> str:
        """Digest of the proof, the same when a client sends its request again."""
        proof = json.dumps(dict(self.identity_proof), sort_keys=True)
        return hashlib.sha256(proof.encode()).hexdigest()


@task(OperateEvent)
def handler(call: Call[OperateEvent]) -> Answer:
    """Find out who asks, and do it in their name.

    A step counts each time that it is asked, so a request that was only sent again must not.
    """
    event = call.event
    operator = _operator(event, call.context.invoked_function_arn)
    if event.verb == "promote":
        answer = do_once({"proof": event.signed}, call.context, lambda: _do(call, operator))
    else:
        answer = _do(call, operator)
    count("OperatorsHeard", verb=event.verb)
    return answer


def _operator(event: OperateEvent, controller: str) -> Operator:
    """Who asks, if they have a say here. Raises ``NotAllowedNow``."""
    subject = event.subject(controller)
    identity = identify(verify(_session(), event.identity_proof, subject))
    known = settings()
    check_account(identity, {identify(controller).account, *known.operator_accounts})
    application = event.release_id.rpartition("-")[0]
    check_right(identity, known.operator_rights, application, event.verb)
    if event.verb == "approve":
        check_voter(identity, known.voter_roles)
    return Operator(who=identity.arn, source="cli", proof=subject)


def _do(call: Call[OperateEvent], who: Operator) -> dict[str, Any]:
    event, ports = call.event, call.ports
    of, why, argument = event.release_id, event.reason, event.argument
    acts: Mapping[Verb, Callable[[], str]] = {
        "approve": lambda: approve(ports, who, of, event.stage, why, shown=event.shown),
        "reject": lambda: reject(ports, who, of, why, event.stage),
        "abort": lambda: abort(ports, who, of, why),
        "pause": lambda: pause(ports, who, of, why),
        "resume": lambda: resume(ports, who, of, why),
        "promote": lambda: promote(ports, who, of, why),
        "promote-full": lambda: promote(ports, who, of, why, full=True),
        "set-weight": lambda: set_weight(ports, who, of, parse_share(argument), why),
        "retry": lambda: retry(ports, who, of, why),
        "rollback": lambda: rollback(ports, who, of, argument, why),
        "rollback-now": lambda: rollback_now(ports, who, of, argument, why),
        "unlock": lambda: unlock(ports, who, of, argument, why),
    }
    return {"message": acts[event.verb]()}


@cache
def _session() -> boto3.Session:
    return boto3.Session()
