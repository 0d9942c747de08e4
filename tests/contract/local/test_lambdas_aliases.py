"""Versions and aliases: who serves an invocation, and what Lambda refuses."""

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from botocore.exceptions import ClientError
from lambda_functions import ROLE, Function

from tidegate_embedded.cloud import EmbeddedAws

pytestmark = pytest.mark.cloud

VERSION = "def handler(event, context): return context.function_version"


@pytest.fixture
def function(aws: EmbeddedAws, account: str) -> Function:
    """A function with versions 1 and 2."""
    function = Function.create(aws, account, VERSION)
    function.publish()
    function.update(VERSION + "  # changed")
    function.publish()
    return function


def error_of(action: Callable[[], object]) -> tuple[str, str]:
    """The code and the message of the refusal."""
    with pytest.raises(ClientError) as refused:
        action()
    error = refused.value.response["Error"]
    return error["Code"], error["Message"]


@pytest.mark.parametrize(
    ("qualifier", "version"), [(None, "$LATEST"), ("$LATEST", "$LATEST"), ("1", "1"), ("2", "2")]
)
def test_a_qualifier_names_the_version(
    function: Function, qualifier: str | None, version: str
) -> None:
    reply = function.invoke(qualifier=qualifier)

    assert (reply.payload, reply.version) == (version, version)


def test_an_arn_may_carry_the_qualifier(function: Function) -> None:
    function.alias("live", "1")
    names = [f"{function.arn}:live", f"{function.arn}:1", "fn:live"]

    versions = [function.client.invoke(FunctionName=name)["ExecutedVersion"] for name in names]

    assert versions == ["1", "1", "1"]


@pytest.mark.parametrize("name", ["fn:gone", "fn:9", "other"])
def test_an_unknown_name_is_not_found(function: Function, name: str) -> None:
    code, message = error_of(lambda: function.client.invoke(FunctionName=name))

    assert code == "ResourceNotFoundException"
    assert message.startswith("Function not found: arn:aws:lambda:eu-west-1:")


def test_another_accounts_function_is_not_found(function: Function, aws: EmbeddedAws) -> None:
    stranger = aws.client("lambda", account="999999999998")

    code, _ = error_of(lambda: stranger.invoke(FunctionName=function.arn))

    assert code == "ResourceNotFoundException"


@pytest.mark.parametrize("weight", [0.0, 0.1, 0.5, 1.0])
def test_an_alias_splits_its_invocations_by_weight(function: Function, weight: float) -> None:
    function.alias("live", "1", {"2": weight})
    invocations = 300

    served = Counter(function.invoke(qualifier="live").payload for _ in range(invocations))

    spread = 5 * (invocations * weight * (1 - weight)) ** 0.5  # one run in a million is outside
    assert served["2"] == pytest.approx(invocations * weight, abs=spread)
    assert served["1"] + served["2"] == invocations


def test_a_change_of_weights_acts_at_once(function: Function) -> None:
    function.alias("live", "1", {"2": 1.0})
    assert function.invoke(qualifier="live").version == "2"

    function.client.update_alias(
        FunctionName="fn",
        Name="live",
        FunctionVersion="1",
        RoutingConfig={"AdditionalVersionWeights": {}},
    )

    assert {function.invoke(qualifier="live").version for _ in range(20)} == {"1"}


REFUSED: Mapping[str, tuple[Mapping[str, Any], str]] = {
    "weight above one": ({"weights": {"2": 1.1}}, "InvalidParameterValueException"),
    "two more versions": ({"weights": {"2": 0.1, "3": 0.1}}, "InvalidParameterValueException"),
    "the same version": ({"weights": {"1": 0.5}}, "InvalidParameterValueException"),
    "latest as second": ({"weights": {"$LATEST": 0.5}}, "InvalidParameterValueException"),
    "latest as first": (
        {"version": "$LATEST", "weights": {"2": 0.5}},
        "InvalidParameterValueException",
    ),
    "unknown second": ({"weights": {"9": 0.5}}, "ResourceNotFoundException"),
    "unknown first": ({"version": "9"}, "ResourceNotFoundException"),
}


@pytest.mark.parametrize("case", REFUSED)
@pytest.mark.parametrize("operation", ["create", "update"])
def test_refuses_an_alias_that_cannot_be(function: Function, operation: str, case: str) -> None:
    wanted, code = REFUSED[case]
    routing = {"AdditionalVersionWeights": wanted.get("weights", {})}
    settings = {
        "FunctionName": "fn",
        "Name": "live",
        "FunctionVersion": wanted.get("version", "1"),
        "RoutingConfig": routing,
    }
    if operation == "update":
        function.alias("live", "1")

    found, _ = error_of(lambda: getattr(function.client, f"{operation}_alias")(**settings))

    assert found == code
    if operation == "update":
        kept = function.client.get_alias(FunctionName="fn", Name="live")
        assert kept["FunctionVersion"] == "1"
        assert "RoutingConfig" not in kept


def test_a_new_version_may_not_meet_itself_in_weights_that_stayed(function: Function) -> None:
    function.alias("live", "1", {"2": 0.1})

    code, message = error_of(
        lambda: function.client.update_alias(FunctionName="fn", Name="live", FunctionVersion="2")
    )

    assert code == "InvalidParameterValueException"
    assert "already included in routing configuration" in message


@pytest.mark.parametrize(
    "change",
    [
        {"Role": ROLE + "-other"},
        {"DeadLetterConfig": {"TargetArn": "arn:aws:sqs:eu-west-1:{account}:dead"}},
    ],
    ids=["role", "dead-letter queue"],
)
def test_both_versions_of_a_split_must_agree(function: Function, change: dict[str, Any]) -> None:
    if "DeadLetterConfig" in change:
        target = change["DeadLetterConfig"]["TargetArn"].format(account=function.account)
        function.aws.client("sqs", account=function.account).create_queue(QueueName="dead")
        change = {"DeadLetterConfig": {"TargetArn": target}}
    function.client.update_function_configuration(FunctionName="fn", **change)
    other = function.publish()

    code, _ = error_of(lambda: function.alias("live", "1", {other: 0.1}))

    assert code == "InvalidParameterValueException"


def test_a_stale_revision_is_refused_and_each_update_makes_a_new_one(function: Function) -> None:
    first = function.alias("live", "1")["RevisionId"]
    update = {"FunctionName": "fn", "Name": "live", "FunctionVersion": "2"}
    second = function.client.update_alias(**update, RevisionId=first)["RevisionId"]

    code, _ = error_of(lambda: function.client.update_alias(**update, RevisionId=first))

    assert second != first
    assert code == "PreconditionFailedException"
    assert function.client.get_alias(FunctionName="fn", Name="live")["RevisionId"] == second


@pytest.mark.parametrize("version", ["1", "2"])
def test_a_version_that_an_alias_uses_cannot_be_deleted(function: Function, version: str) -> None:
    function.alias("live", "1", {"2": 0.1})

    code, _ = error_of(
        lambda: function.client.delete_function(FunctionName="fn", Qualifier=version)
    )

    assert code == "ResourceConflictException"
    assert function.invoke(qualifier=version).payload == version
