"""Permissions to invoke: each qualifier has a policy of its own, and so has the bare function."""

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError
from lambda_functions import Function

from tidegate_embedded.cloud import EmbeddedAws

pytestmark = pytest.mark.cloud

CODE = "def handler(event, context): return 1"


@pytest.fixture
def lambdas(aws: EmbeddedAws, account: str) -> Any:
    return aws.client("lambda", account=account)


@pytest.fixture
def function(aws: EmbeddedAws, account: str) -> str:
    """A function whose alias API Gateway may invoke, and nobody the function itself."""
    made = Function.create(aws, account, CODE)
    made.publish()
    made.alias("live", "1", {})
    allow(aws.client("lambda", account=account), made.name, "gateway", Qualifier="live")
    return made.name


def allow(lambdas: Any, function: str, sid: str, **where: str) -> None:
    lambdas.add_permission(
        FunctionName=function,
        StatementId=sid,
        Action="lambda:InvokeFunction",
        Principal="apigateway.amazonaws.com",
        **where,
    )


def sids(lambdas: Any, function: str, **where: str) -> list[str]:
    policy = json.loads(lambdas.get_policy(FunctionName=function, **where)["Policy"])
    return [statement["Sid"] for statement in policy["Statement"]]


def test_the_function_has_no_policy_when_only_its_alias_has_one(
    lambdas: Any, function: str
) -> None:
    assert sids(lambdas, function, Qualifier="live") == ["gateway"]
    with pytest.raises(ClientError, match="No policy is associated with the given resource"):
        sids(lambdas, function)


def test_each_answers_with_its_own_statements(lambdas: Any, function: str) -> None:
    allow(lambdas, function, "bare")
    assert sids(lambdas, function) == ["bare"]
    assert sids(lambdas, function, Qualifier="live") == ["gateway"]


def test_without_a_qualifier_no_permission_of_an_alias_is_removed(
    lambdas: Any, function: str
) -> None:
    with pytest.raises(ClientError, match="No policy is associated with the given resource"):
        lambdas.remove_permission(FunctionName=function, StatementId="gateway")
    assert sids(lambdas, function, Qualifier="live") == ["gateway"]
    lambdas.remove_permission(FunctionName=function, StatementId="gateway", Qualifier="live")
    with pytest.raises(ClientError, match="No policy is associated with the given resource"):
        sids(lambdas, function, Qualifier="live")
