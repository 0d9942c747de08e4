"""Provisioned concurrency and SnapStart of the embedded AWS: what Lambda does and refuses."""

import dataclasses
import threading
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError
from lambda_functions import Function
from ministack.services import lambda_svc

from support.capacity_time import CapacityTime
from support.waiting import wait_until
from tidegate_embedded.cloud import EmbeddedAws

pytestmark = pytest.mark.cloud

CODE = "def handler(event, context): return context.function_version"


@pytest.fixture
def function(aws: EmbeddedAws, account: str) -> Function:
    """A function with versions 1 and 2, both active."""
    function = Function.create(aws, account, CODE)
    function.publish()
    function.update(CODE + "  # changed")
    function.publish()
    wait_until(lambda: state(function, "1") == state(function, "2") == "Active")
    return function


def state(function: Function, version: str) -> str:
    found = function.client.get_function(FunctionName=function.name, Qualifier=version)
    return str(found["Configuration"]["State"])


def put(function: Function, qualifier: str, number: int = 2) -> Any:
    return function.client.put_provisioned_concurrency_config(
        FunctionName=function.name, Qualifier=qualifier, ProvisionedConcurrentExecutions=number
    )


def get(function: Function, qualifier: str) -> Any:
    return function.client.get_provisioned_concurrency_config(
        FunctionName=function.name, Qualifier=qualifier
    )


def move(function: Function, version: str, weights: dict[str, float] | None = None) -> Any:
    return function.client.update_alias(
        FunctionName=function.name,
        Name="live",
        FunctionVersion=version,
        RoutingConfig={"AdditionalVersionWeights": weights or {}},
    )


def error_of(action: Callable[[], object]) -> str:
    with pytest.raises(ClientError) as refused:
        action()
    return str(refused.value.response["Error"]["Code"])


def test_it_is_allocated_after_a_while(function: Function, capacity_time: CapacityTime) -> None:
    begun = put(function, "1")
    assert (begun["Status"], begun["AllocatedProvisionedConcurrentExecutions"]) == (
        "IN_PROGRESS",
        0,
    )
    assert get(function, "1")["Status"] == "IN_PROGRESS"
    capacity_time.passes()
    assert get(function, "1")["Status"] == "READY"
    assert get(function, "1")["AllocatedProvisionedConcurrentExecutions"] == 2


def test_a_version_whose_code_cannot_start_gets_none(function: Function) -> None:
    put(function, "1")
    record = lambda_svc._functions.get_scoped(function.account, "eu-west-1", function.name)
    record["versions"]["1"]["config"]["State"] = "Failed"

    found = get(function, "1")

    assert (found["Status"], found["StatusReason"]) == ("FAILED", "FUNCTION_ERROR_INIT_FAILURE")


def test_unpublished_code_gets_none_and_an_alias_has_none_by_itself(function: Function) -> None:
    assert error_of(lambda: put(function, "$LATEST")) == "InvalidParameterValueException"
    function.alias("live", "1")
    assert (
        error_of(lambda: get(function, "live")) == "ProvisionedConcurrencyConfigNotFoundException"
    )


def test_an_account_has_only_so_much(function: Function) -> None:
    assert error_of(lambda: put(function, "1", 901)) == "InvalidParameterValueException"
    put(function, "1", 500)
    assert error_of(lambda: put(function, "2", 500)) == "InvalidParameterValueException"


def test_an_alias_takes_it_along_and_cannot_meet_a_version_with_its_own(
    function: Function, capacity_time: CapacityTime
) -> None:
    function.alias("live", "1")
    put(function, "live")
    capacity_time.passes()
    assert get(function, "live")["Status"] == "READY"

    move(function, "2")
    assert get(function, "live")["Status"] == "IN_PROGRESS"
    put(function, "1")

    assert error_of(lambda: move(function, "1")) == "ResourceConflictException"
    assert error_of(lambda: move(function, "2", {"1": 0.1})) == "ResourceConflictException"


def test_less_than_one_is_refused(function: Function) -> None:
    answer = lambda_svc._run_with_function_config_scope(
        {"FunctionArn": function.arn},
        lambda_svc._put_provisioned_concurrency,
        function.name,
        "1",
        {"ProvisionedConcurrentExecutions": 0},
    )
    assert answer[0] == 400


def test_an_alias_may_get_weights_and_cannot_be_changed_with_them(function: Function) -> None:
    function.alias("live", "1")
    put(function, "live")
    move(function, "1", {"2": 0.1})
    assert error_of(lambda: put(function, "live", 3)) == "InvalidParameterValueException"


def test_the_snapshot_of_a_version_takes_a_while(
    aws: EmbeddedAws, account: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    function = Function.create(
        aws, account, CODE, Runtime="python3.12", SnapStart={"ApplyOn": "PublishedVersions"}
    )
    with monkeypatch.context() as slow:
        for_ever = dataclasses.replace(aws.cloud.delays, snapshot_seconds=threading.TIMEOUT_MAX)
        slow.setattr(aws.cloud, "delays", for_ever)
        published = function.client.publish_version(FunctionName=function.name)
    assert published["State"] == state(function, "1") == "Pending"
    assert published["SnapStart"]["OptimizationStatus"] == "On"

    function.update(CODE + "  # changed")
    assert function.publish() == "2"
    wait_until(lambda: state(function, "2") == "Active")
