"""The templates, the state machines and the code say the same of each other."""

import importlib.util
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML
from ruamel.yaml.constructor import SafeConstructor

from tidegate.core import errors

ROOT = Path(__file__).parents[2]
MACHINES = ("release", "stage", "rollout")
EVENTS_IN_A_HISTORY = 25_000
EVENTS_OF_A_POLL = 9  # task 5, choice 2, wait 2
MOST_TARGETS = 40  # as many as an inline Map runs at once
SERVICE_ERRORS = ("Lambda.", "States.", "Runtime.", "Sandbox.", "CodeBuild.", "StepFunctions.")


class Intrinsics(SafeConstructor):
    """Has a registry of its own: tags that it knows stay unknown to every other reader."""


def construct_tagged(loader: Any, tag: str, node: Any) -> dict[str, Any]:
    if node.id == "scalar":
        return {f"!{tag}": loader.construct_scalar(node)}
    construct = loader.construct_sequence if node.id == "sequence" else loader.construct_mapping
    return {f"!{tag}": construct(node, deep=True)}


Intrinsics.add_multi_constructor("!", construct_tagged)


def load(path: str) -> dict[str, Any]:
    """A template, with each `!Tag value` as `{"!Tag": value}`."""

    yaml = YAML(typ="safe", pure=True)
    yaml.Constructor = Intrinsics
    loaded: dict[str, Any] = yaml.load((ROOT / path).read_text("utf-8"))
    return loaded


TEMPLATE = load("template.yaml")
TARGET_ACCOUNT = load("pipeline/target-account.yaml")
DEFINITIONS = {name: load(f"statemachine/{name}.asl.yaml") for name in MACHINES}
FUNCTIONS = {
    name: resource["Properties"]
    for name, resource in TEMPLATE["Resources"].items()
    if resource["Type"] in {"AWS::Serverless::Function", "AWS::Lambda::Function"}
}
TASKS = {
    function["FunctionName"]["!Sub"].removeprefix("${AWS::StackName}-"): name
    for name, function in FUNCTIONS.items()
}


def states(machine: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for name, state in machine["States"].items():
        yield name, state
        if "ItemProcessor" in state:
            yield from states(state["ItemProcessor"])


def invocations(machine: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The task's name and the state, for each state that invokes a function."""
    for _, state in states(DEFINITIONS[machine]):
        name = state.get("Arguments", {}).get("FunctionName", "")
        if name:
            yield name.removeprefix("${Controller}-"), state


def machine_properties(machine: str) -> dict[str, Any]:
    properties: dict[str, Any] = TEMPLATE["Resources"][f"{machine.title()}StateMachine"][
        "Properties"
    ]
    return properties


def statements(template: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Each statement of each identity policy, with the logical id of its resource."""
    for name, resource in template["Resources"].items():
        properties = resource.get("Properties", {})
        policies = [properties, *properties.get("Policies", ())]
        for document in (policy.get("PolicyDocument", policy) for policy in policies):
            listed = document.get("Statement", ())
            for statement in [listed] if isinstance(listed, Mapping) else listed:
                yield name, statement


@pytest.mark.parametrize("machine", MACHINES)
def test_the_template_gives_each_substitution_and_no_other(machine: str) -> None:
    text = (ROOT / "statemachine" / f"{machine}.asl.yaml").read_text("utf-8")
    given = machine_properties(machine)["DefinitionSubstitutions"]
    assert set(given) == set(re.findall(r"\$\{(\w+)\}", text))


@pytest.mark.parametrize("machine", MACHINES)
def test_each_machine_may_invoke_exactly_the_functions_that_it_invokes(machine: str) -> None:
    role = f"{machine.title()}StateMachineRole"
    (allowed,) = (
        statement["Resource"]
        for name, statement in statements(TEMPLATE)
        if name == role and statement["Action"] == "lambda:InvokeFunction"
    )
    invoked = {f"{TASKS[task]}.Arn" for task, _ in invocations(machine)}
    assert {resource["!GetAtt"] for resource in allowed} == invoked


BESIDES_THE_MACHINES = {
    "operate", "guardian", "on-alarm", "on-hook-answer", "prune", "doctor", "notify",
}  # fmt: skip


def test_every_function_is_the_task_of_a_state_or_stands_beside_the_machines() -> None:
    invoked = {task for machine in MACHINES for task, _ in invocations(machine)}
    assert set(TASKS) == invoked | BESIDES_THE_MACHINES


@pytest.mark.parametrize("task", TASKS)
def test_every_function_is_handled_by_the_module_of_its_name(task: str) -> None:
    handler = FUNCTIONS[TASKS[task]]["Handler"]
    module = f"tidegate.handlers.{task.replace('-', '_')}"
    assert handler == f"{module}.handler"
    assert importlib.util.find_spec(module) is not None


@pytest.mark.parametrize("machine", MACHINES)
def test_no_function_outlives_its_state(machine: str) -> None:
    usual = TEMPLATE["Globals"]["Function"]["Timeout"]
    for task, state in invocations(machine):
        if not state["Resource"].endswith("waitForTaskToken"):
            assert state["TimeoutSeconds"] > FUNCTIONS[TASKS[task]].get("Timeout", usual), task


@pytest.mark.parametrize(("parent", "child"), [("release", "stage"), ("stage", "rollout")])
def test_a_nested_execution_ends_before_its_parent_gives_up(parent: str, child: str) -> None:
    (task,) = (
        state
        for _, state in states(DEFINITIONS[parent])
        if state.get("Resource") == "arn:aws:states:::states:startExecution.sync:2"
    )
    assert DEFINITIONS[child]["TimeoutSeconds"] < task["TimeoutSeconds"]
    assert task["TimeoutSeconds"] < DEFINITIONS[parent]["TimeoutSeconds"]


@pytest.mark.parametrize("machine", MACHINES)
def test_errors_that_machines_name_are_errors_that_exist(machine: str) -> None:
    named = {
        error
        for _, state in states(DEFINITIONS[machine])
        for rule in [*state.get("Retry", ()), *state.get("Catch", ())]
        for error in rule["ErrorEquals"]
        if not error.startswith(SERVICE_ERRORS)
    }
    assert {error for error in named if not hasattr(errors, error)} == set()


@pytest.mark.parametrize("machine", MACHINES)
def test_every_task_retries_what_may_pass(machine: str) -> None:
    passing = {
        "Lambda.ServiceException",
        "Lambda.AWSLambdaException",
        "Lambda.SdkClientException",
        "Lambda.TooManyRequestsException",
        "Lambda.ClientExecutionTimedOutException",
        "ServiceUnavailable",
        "RecordConflict",
    }
    for task, state in invocations(machine):
        retried = {error for retrier in state["Retry"] for error in retrier["ErrorEquals"]}
        assert passing - retried == set(), task


def test_no_machine_can_fill_its_history() -> None:
    stage = machine_properties("stage")["DefinitionSubstitutions"]
    assert MOST_TARGETS * stage["MaxPolls"] * EVENTS_OF_A_POLL < EVENTS_IN_A_HISTORY
    release = machine_properties("release")["DefinitionSubstitutions"]
    assert release["MaxQueuePolls"] * EVENTS_OF_A_POLL < EVENTS_IN_A_HISTORY


@pytest.mark.parametrize("template", [TEMPLATE, TARGET_ACCOUNT], ids=["controller", "target"])
def test_every_parameter_is_described_and_held_to_a_form(template: Mapping[str, Any]) -> None:
    forms = {"AllowedPattern", "AllowedValues", "MinValue"}
    for name, parameter in template["Parameters"].items():
        assert parameter["Description"], name
        if parameter["Type"] != "CommaDelimitedList":
            assert parameter.keys() & forms, name


def test_the_target_account_lets_in_only_roles_of_the_controller_that_know_the_id() -> None:
    role = TARGET_ACCOUNT["Resources"]["TargetRole"]["Properties"]
    (statement,) = role["AssumeRolePolicyDocument"]["Statement"]
    assert statement["Condition"] == {
        "StringEquals": {"sts:ExternalId": {"!Ref": "ExternalId"}},
        "ArnLike": {
            "aws:PrincipalArn": {
                "!Sub": "arn:${AWS::Partition}:iam::${ControllerAccount}:role/${ControllerStack}-*"
            }
        },
    }


def test_the_target_role_deletes_versions_and_never_a_function() -> None:
    allowed = [
        statement["Resource"]["!Sub"]
        for name, statement in statements(TARGET_ACCOUNT)
        if name == "TargetRole" and "lambda:DeleteFunction" in statement["Action"]
    ]
    assert [resource.endswith(":function:${ApplicationPrefix}*:*") for resource in allowed] == [
        True
    ]


def test_the_target_role_warms_versions_and_never_a_function() -> None:
    (resource,) = [
        statement["Resource"]["!Sub"]
        for name, statement in statements(TARGET_ACCOUNT)
        if name == "TargetRole" and "lambda:PutProvisionedConcurrencyConfig" in statement["Action"]
    ]
    assert resource.endswith(":function:${ApplicationPrefix}*:*")


@pytest.mark.parametrize("name", ["TargetRoleName", "CloudFormationRoleName", "GuardianRoleName"])
def test_both_sides_call_the_roles_the_same(name: str) -> None:
    theirs, ours = TARGET_ACCOUNT["Parameters"][name], TEMPLATE["Parameters"][name]
    assert ours["Default"] == theirs["Default"]


def test_the_tasks_run_on_the_very_dependencies_that_the_tests_run_on() -> None:
    def pins(path: str) -> set[str]:
        return set(re.findall(r"^\S+==\S+", (ROOT / path).read_text("utf-8"), re.MULTILINE))

    shipped = pins("controller/requirements.txt")
    assert shipped
    assert shipped - pins("requirements/dev.txt") == set()


def test_outputs_are_what_the_command_line_looks_for() -> None:
    functions = {"DoctorFunction", "OperateFunction", "PruneFunction"}
    names = {"TableName", "BusName", "ReleaseStateMachineArn", "Region", *functions}
    assert names <= TEMPLATE["Outputs"].keys()


OURS = {path: load(path) for path in ("template.yaml", "pipeline/template.yaml")}
OF_NO_LOGS = {
    path.name: load(f"pipeline/{path.name}")
    for path in (ROOT / "pipeline").iterdir()
    if path.name != "template.yaml"
}
LOG_GROUPS = [
    (path, name)
    for path, template in OURS.items()
    for name, resource in template["Resources"].items()
    if resource["Type"] == "AWS::Logs::LogGroup"
]


def test_other_templates_make_nothing_that_writes_logs() -> None:
    types = {r["Type"] for template in OF_NO_LOGS.values() for r in template["Resources"].values()}
    services = {
        "AWS::Logs",
        "AWS::Lambda",
        "AWS::Serverless",
        "AWS::CodeBuild",
        "AWS::StepFunctions",
    }
    assert not [one for one in types if one.rpartition("::")[0] in services]


@pytest.mark.parametrize("path", OURS)
def test_whatever_writes_a_log_writes_it_into_a_group_of_its_template(path: str) -> None:
    groups = {name for at, name in LOG_GROUPS if at == path}
    usual = OURS[path].get("Globals", {}).get("Function", {})
    written = set()
    for name, resource in OURS[path]["Resources"].items():
        properties = resource.get("Properties", {})
        match resource["Type"]:
            case "AWS::Serverless::Function":
                group = (usual | properties)["LoggingConfig"]["LogGroup"]["!Ref"]
            case "AWS::Lambda::Function":
                group = properties["LoggingConfig"]["LogGroup"]["!Ref"]
            case "AWS::CodeBuild::Project":
                group = properties["LogsConfig"]["CloudWatchLogs"]["GroupName"]["!Ref"]
            case "AWS::Serverless::StateMachine":
                (to,) = properties["Logging"]["Destinations"]
                group = to["CloudWatchLogsLogGroup"]["LogGroupArn"]["!GetAtt"].removesuffix(".Arn")
            case _:
                continue
        assert group in groups, name
        written.add(group)
    assert written == groups
