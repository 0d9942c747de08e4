"""Answers of CloudFormation that are rare, or that come only under load."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from botocore.stub import ANY, Stubber

from tidegate.aws.session import Clients
from tidegate.aws.stacks import CloudFormationStacks, TemplateUrls, _request_token
from tidegate.core.errors import (
    ChangeSetFailed,
    ChangeSetStale,
    ServiceRefused,
    StackBusy,
    StackFailed,
)
from tidegate.core.ports import StackSpec

ID = "arn:aws:cloudformation:eu-west-1:111111111111:stack/shop/1"
CHANGE_SET = "arn:aws:cloudformation:eu-west-1:111111111111:changeSet/change/1"
ROLE = "arn:aws:iam::111111111111:role/tidegate-cloudformation"
SPEC = StackSpec("shop", "s3://artifacts/template.json", {"Stage": "prod"})
BUSY = "Stack:shop is in UPDATE_IN_PROGRESS state and can not be updated."


class Answers:
    """What CloudFormation will answer, in order."""

    def __init__(self, stubber: Stubber) -> None:
        self._stubber = stubber

    def stack(self, status: str) -> None:
        now = datetime.now(UTC)
        stack = {"StackName": "shop", "StackId": ID, "StackStatus": status, "CreationTime": now}
        self._stubber.add_response("describe_stacks", {"Stacks": [stack]})

    def change_set(self, **said: Any) -> None:
        self._stubber.add_response("describe_change_set", {"ChangeSetId": CHANGE_SET, **said})

    def events(self) -> None:
        self._stubber.add_response("describe_stack_events", {"StackEvents": []})

    def page_of_events(self, ids: list[str], *, token: str = "", more: str = "") -> None:
        events = [
            {
                "StackId": ID,
                "StackName": "shop",
                "EventId": event_id,
                "Timestamp": datetime.now(UTC),
                "LogicalResourceId": "Cart",
                "ResourceStatus": "UPDATE_IN_PROGRESS",
                "ClientRequestToken": token or _request_token("token"),
            }
            for event_id in ids
        ]
        page = {"StackEvents": events} | ({"NextToken": more} if more else {})
        self._stubber.add_response("describe_stack_events", page)

    def accepts(self, operation: str, **expected: Any) -> None:
        self._stubber.add_response(operation, {}, expected or None)

    def refuses(self, operation: str, code: str, message: str = "No.") -> None:
        self._stubber.add_client_error(operation, code, message)


@pytest.fixture
def clients() -> Clients:
    return Clients(boto3.Session("key", "secret", region_name="eu-west-1"))


@pytest.fixture
def cloudformation(clients: Clients) -> Any:
    return clients.make("cloudformation")


@pytest.fixture
def answers(cloudformation: Any) -> Iterator[Answers]:
    with Stubber(cloudformation) as stubber:
        yield Answers(stubber)
        stubber.assert_no_pending_responses()


@pytest.fixture
def stacks(cloudformation: Any, clients: Clients) -> CloudFormationStacks:
    return CloudFormationStacks(cloudformation, templates=TemplateUrls(clients), role_arn=ROLE)


def test_tells_why_a_change_set_failed(stacks: CloudFormationStacks, answers: Answers) -> None:
    answers.stack("UPDATE_COMPLETE")
    answers.change_set(Status="FAILED", StatusReason="Circular dependency between resources")

    with pytest.raises(ChangeSetFailed, match="could not preview shop: Circular dependency"):
        stacks.preview(SPEC, "token")


def test_reads_all_pages_of_a_change_set(stacks: CloudFormationStacks, answers: Answers) -> None:
    def page(name: str) -> list[dict[str, Any]]:
        change = {"LogicalResourceId": name, "ResourceType": "AWS::SNS::Topic", "Action": "Add"}
        return [{"Type": "Resource", "ResourceChange": change}]

    answers.stack("UPDATE_COMPLETE")
    answers.change_set(Status="CREATE_COMPLETE", Changes=page("First"), NextToken="more")
    answers.change_set(Status="CREATE_COMPLETE", Changes=page("Second"))

    made = stacks.preview(SPEC, "token")

    assert made is not None
    assert [change.logical_id for change in made.changes] == ["First", "Second"]


def test_waits_for_a_change_set_that_is_being_computed(
    stacks: CloudFormationStacks, answers: Answers
) -> None:
    answers.stack("UPDATE_COMPLETE")
    answers.change_set(Status="CREATE_IN_PROGRESS")

    assert stacks.preview(SPEC, "token") is None


def test_makes_no_change_set_while_others_work_on_the_stack(
    stacks: CloudFormationStacks, answers: Answers
) -> None:
    answers.stack("UPDATE_IN_PROGRESS")
    answers.refuses("describe_change_set", "ChangeSetNotFound")

    with pytest.raises(StackBusy, match="shop is in UPDATE_IN_PROGRESS"):
        stacks.preview(SPEC, "token")


def test_a_change_set_that_a_twin_of_the_call_made_is_waited_for(
    stacks: CloudFormationStacks, answers: Answers
) -> None:
    answers.stack("UPDATE_COMPLETE")
    answers.refuses("describe_change_set", "ChangeSetNotFound")
    answers.refuses("create_change_set", "AlreadyExistsException")

    assert stacks.preview(SPEC, "token") is None


@pytest.mark.parametrize("execution", ["OBSOLETE", "UNAVAILABLE"])
def test_refuses_a_change_set_that_cannot_be_executed(
    execution: str, stacks: CloudFormationStacks, answers: Answers
) -> None:
    answers.change_set(ExecutionStatus=execution)

    with pytest.raises(ChangeSetStale, match=f"is {execution}"):
        stacks.execute(CHANGE_SET, "token")


def test_a_stale_change_set_is_explained_with_cloudformations_own_reason(
    stacks: CloudFormationStacks, answers: Answers
) -> None:
    answers.change_set(ExecutionStatus="OBSOLETE", StatusReason="The stack was updated.")

    with pytest.raises(ChangeSetStale, match=r"is OBSOLETE \(The stack was updated\): "):
        stacks.execute(CHANGE_SET, "token")


def test_a_change_set_may_go_stale_between_look_and_execution(
    stacks: CloudFormationStacks, answers: Answers
) -> None:
    answers.change_set(ExecutionStatus="AVAILABLE")
    answers.refuses("execute_change_set", "InvalidChangeSetStatus")

    with pytest.raises(ChangeSetStale, match="Release again"):
        stacks.execute(CHANGE_SET, "token")


def test_updates_with_the_role_of_cloudformation(
    stacks: CloudFormationStacks, answers: Answers
) -> None:
    answers.stack("UPDATE_COMPLETE")
    answers.events()
    answers.accepts(
        "update_stack",
        StackName="shop",
        TemplateURL="https://artifacts.s3.eu-west-1.amazonaws.com/template.json",
        Parameters=[{"ParameterKey": "Stage", "ParameterValue": "prod"}],
        Tags=[],
        Capabilities=["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"],
        RoleARN=ROLE,
        ClientRequestToken=ANY,
    )

    assert stacks.update(SPEC, "token")


@pytest.mark.parametrize(
    ("code", "message", "error"),
    [
        ("ValidationError", BUSY, StackBusy),
        ("OperationInProgressException", "Wait.", StackBusy),
        ("ValidationError", "Parameters: [Stage] do not exist in the template", StackFailed),
    ],
)
def test_tells_why_an_update_did_not_begin(
    code: str, message: str, error: type[Exception], stacks: CloudFormationStacks, answers: Answers
) -> None:
    answers.stack("UPDATE_COMPLETE")
    answers.events()
    answers.refuses("update_stack", code, message)

    with pytest.raises(error):
        stacks.update(SPEC, "token")


def test_an_update_that_a_twin_of_the_call_began_has_begun(
    stacks: CloudFormationStacks, answers: Answers
) -> None:
    answers.stack("UPDATE_COMPLETE")
    answers.events()
    answers.refuses("update_stack", "TokenAlreadyExistsException")

    assert stacks.update(SPEC, "token")


def test_does_not_delete_what_is_being_deleted(
    stacks: CloudFormationStacks, answers: Answers
) -> None:
    answers.stack("DELETE_IN_PROGRESS")

    stacks.delete("shop", "token")


def test_reads_the_events_of_an_operation_page_by_page(
    stacks: CloudFormationStacks, answers: Answers
) -> None:
    answers.page_of_events(["5", "4"], more="next")
    answers.page_of_events(["3", "2"], more="further")

    events = stacks.events("shop", "token", after="2")

    assert [event.id for event in events] == ["3", "4", "5"]


def test_the_events_of_an_operation_end_where_an_earlier_one_begins(
    stacks: CloudFormationStacks, answers: Answers
) -> None:
    answers.page_of_events(["3", "2"], more="next")
    answers.page_of_events(["1"], token="another")

    assert [event.id for event in stacks.events("shop", "token")] == ["2", "3"]


def test_events_that_may_not_be_read_are_refused(
    stacks: CloudFormationStacks, answers: Answers
) -> None:
    answers.refuses("describe_stack_events", "AccessDenied")

    with pytest.raises(ServiceRefused, match="read the events of shop"):
        stacks.events("shop", "token")
