"""Whoever has no say here gets no vote, and nobody gets two."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest

from support.lambda_context import Context
from support.story import Story
from tidegate.aws import settings
from tidegate.aws.identity import prove
from tidegate.core.approval.identity import subject_of
from tidegate.core.errors import InputError, NotAllowedNow
from tidegate.core.model.plan import ReleaseRef
from tidegate.core.model.record import Approval, Decision
from tidegate.core.workflow.records import find
from tidegate.handlers import operate
from tidegate_embedded.cloud import DEFAULT_REGION, EmbeddedAws

TWO = "approval: {approvers: 2}"
ROLE = "tidegate-operator"


class Controller:
    """The function that operators ask, with a release that waits for two people in prod."""

    def __init__(self, aws: EmbeddedAws, account: str) -> None:
        self.aws, self.account = aws, account
        self.arn = f"arn:aws:lambda:{DEFAULT_REGION}:{account}:function:tidegate-operate"
        self.story = Story(approval=TWO)

    def while_asking(self, act: Callable[[], object]) -> Approval:
        """Release, and do this while prod waits. Returns what became of the approval."""

        def wait(ref: ReleaseRef, stage: str) -> None:
            act()

        self.story.machines.while_waiting = wait
        self.story.release("one")
        return self.asked

    @property
    def asked(self) -> Approval:
        found = find(self.story.world.ledger, Approval, release_id="hello-1", stage="prod")
        assert found
        return found

    def session(self, name: str, *, account: str = "", role: str = ROLE) -> boto3.Session:
        """Somebody who has assumed a role under this name."""
        account = account or self.account
        iam = self.aws.client("iam", account=account)
        known = {one["RoleName"] for one in iam.list_roles()["Roles"]}
        if role not in known:
            iam.create_role(RoleName=role, AssumeRolePolicyDocument=json.dumps({}))
        given = self.aws.client("sts", account=account).assume_role(
            RoleArn=f"arn:aws:iam::{account}:role/{role}", RoleSessionName=name
        )["Credentials"]
        return boto3.Session(
            given["AccessKeyId"],
            given["SecretAccessKey"],
            given["SessionToken"],
            region_name=DEFAULT_REGION,
        )

    def say(
        self, session: boto3.Session, verb: str = "approve", *, signed: Any = None, **event: Any
    ) -> str:
        """Ask as the command line does; ``signed`` is what the proof is made for instead."""
        words = {"argument": "", "reason": "", "shown": self.asked.digest} | event
        of = (self.arn, verb, "hello-1", "prod")
        proof = prove(session, signed or subject_of(*of, **words))
        handler = dataclasses.replace(operate.handler, ports=lambda: self.story.ports)
        sent = {"verb": verb, "release_id": "hello-1", "stage": "prod", **words}
        event = json.loads(json.dumps({**sent, "identity_proof": proof}))
        return str(handler(event, Context(function=self.arn))["message"])


def configure(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    """Give the controller another value of a parameter."""
    monkeypatch.setenv(name, value)
    settings.settings.cache_clear()


@pytest.fixture
def controller(
    aws: EmbeddedAws, account: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Controller]:
    environment = {
        **aws.environment(account=account),
        "TIDEGATE_TABLE": "record",
        "TIDEGATE_BUS": "bus",
        "TIDEGATE_VOTER_ROLES": f"AWSReservedSSO_*,{ROLE}",
        "POWERTOOLS_METRICS_NAMESPACE": "Tidegate",
        "POWERTOOLS_TRACE_DISABLED": "true",
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    for cached in (settings.settings, operate._session):
        cached.cache_clear()
    yield Controller(aws, account)
    for cached in (settings.settings, operate._session):
        cached.cache_clear()


def test_two_people_of_the_account_decide(controller: Controller) -> None:
    said: list[str] = []

    def both() -> None:
        said.extend(controller.say(controller.session(name)) for name in ("ada", "ben"))

    asked = controller.while_asking(both)
    assert asked.decision is Decision.APPROVED
    assert all(
        vote.proof.startswith(f"{controller.arn} approve:hello-1:prod ") for vote in asked.votes
    )
    assert said[0] == (
        f"ada ({ROLE}, {controller.account}) approved prod of hello-1; 1 more must agree."
    )


def test_no_vote_for_sessions_of_foreign_accounts(controller: Controller) -> None:
    def stranger() -> None:
        for name, account in (("ada", "666666666661"), ("ben", "666666666662")):
            with pytest.raises(NotAllowedNow, match=rf"{name} \({ROLE}, {account}\) is not of"):
                controller.say(controller.session(name, account=account))

    assert controller.while_asking(stranger).votes == ()


def test_an_account_that_the_controller_names_has_a_say(
    controller: Controller, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(monkeypatch, "TIDEGATE_OPERATOR_ACCOUNTS", "444444444444, 555555555555")
    known = controller.while_asking(
        lambda: controller.say(controller.session("ada", account="555555555555"))
    )
    assert len(known.votes) == 1


def test_no_second_vote_by_choosing_another_session_name(controller: Controller) -> None:
    def twice() -> None:
        for name in ("ada", "somebody-else"):
            with pytest.raises(NotAllowedNow, match="may choose any name"):
                controller.say(controller.session(name, role="Developers"))

    assert controller.while_asking(twice).votes == ()


def test_no_second_vote_by_another_role_or_account(
    controller: Controller, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(monkeypatch, "TIDEGATE_OPERATOR_ACCOUNTS", "555555555555")

    def twice() -> None:
        controller.say(controller.session("ada"))
        for other in ({"role": "AWSReservedSSO_Admin_0123"}, {"account": "555555555555"}):
            with pytest.raises(NotAllowedNow, match="has already voted"):
                controller.say(controller.session("Ada", **other))

    assert len(controller.while_asking(twice).votes) == 1


def test_no_yes_for_another_controller(controller: Controller) -> None:
    development = controller.arn.replace(controller.account, "777777777777")

    def replay() -> None:
        words = {"shown": controller.asked.digest}
        signed = subject_of(development, "approve", "hello-1", "prod", **words)
        with pytest.raises(NotAllowedNow, match="it is for"):
            controller.say(controller.session("ada"), signed=signed)

    assert controller.while_asking(replay).votes == ()


@pytest.mark.parametrize("changed", ["reason", "shown", "argument"])
def test_no_yes_to_other_words_than_were_signed(controller: Controller, changed: str) -> None:
    def change() -> None:
        words = {"reason": "", "shown": controller.asked.digest, "argument": "", changed: "other"}
        signed = subject_of(controller.arn, "approve", "hello-1", "prod", **words)
        with pytest.raises(NotAllowedNow, match="it is for"):
            controller.say(controller.session("ada"), signed=signed)

    assert controller.while_asking(change).votes == ()


@pytest.mark.parametrize("shown", ["", "sha256:0"])
def test_no_yes_to_what_was_not_shown(controller: Controller, shown: str) -> None:
    def blindly() -> None:
        with pytest.raises(NotAllowedNow, match="is not what you were shown"):
            controller.say(controller.session("ada"), shown=shown)

    assert controller.while_asking(blindly).votes == ()


def test_whoever_may_not_vote_may_still_stop_a_release(controller: Controller) -> None:
    said: list[str] = []
    controller.while_asking(
        lambda: said.append(
            controller.say(controller.session("oncall", role="BreakGlass"), "abort", reason="bad")
        )
    )
    assert said[0].startswith(f"oncall (BreakGlass, {controller.account}) aborted hello-1: bad.")


def test_who_may_approve_may_not_abort(
    controller: Controller, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(monkeypatch, "TIDEGATE_OPERATOR_RIGHTS", f"{ROLE}/hello/approve, OnCall/*/abort")

    def both() -> None:
        ada = controller.session("ada")
        with pytest.raises(NotAllowedNow, match=r"may not abort releases of hello\."):
            controller.say(ada, "abort", reason="mine")
        controller.say(ada)

    (vote,) = controller.while_asking(both).votes
    assert vote.who.endswith("/ada")


def test_rights_for_one_application_are_none_for_another(
    controller: Controller, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(monkeypatch, "TIDEGATE_OPERATOR_RIGHTS", f"{ROLE}/pay-*/*, {ROLE}/hello-*/*")

    def ask() -> None:
        with pytest.raises(NotAllowedNow, match="OperatorRights"):
            controller.say(controller.session("ada"))

    assert controller.while_asking(ask).votes == ()


@pytest.mark.parametrize("right", ["*", "ops/abort", "a/b/c/d"])
def test_a_right_that_is_none_gives_nobody_anything(
    controller: Controller, monkeypatch: pytest.MonkeyPatch, right: str
) -> None:
    configure(monkeypatch, "TIDEGATE_OPERATOR_RIGHTS", right)

    def ask() -> None:
        with pytest.raises(InputError, match="Give ROLE/APPLICATION/VERB each"):
            controller.say(controller.session("ada"))

    assert controller.while_asking(ask).votes == ()
