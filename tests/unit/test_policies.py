"""What the templates allow, as an auditor reads it: after SAM's transform, each statement."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tidegate.build import boundary
from tidegate.build.sam import transform
from tidegate.build.template import read_template

ROOT = Path(__file__).parents[2]
OURS = ("template.yaml", *(f"pipeline/{path.name}" for path in (ROOT / "pipeline").iterdir()))
EXAMPLE = "functions/template.yaml"

PACKAGED = {"CodeUri", "ContentUri", "DefinitionUri"}

ON_EVERYTHING = {
    "cloudwatch:DescribeAlarms": "with a narrower resource it does not find composite alarms",
    "cloudwatch:GetMetricData": "CloudWatch knows no resource for metrics",
    "cloudwatch:GetMetricStatistics": "CloudWatch knows no resource for metrics",
    "lambda:ListEventSourceMappings": "Lambda knows no resource for it",
    "logs:CreateLogDelivery": "log delivery knows no resource",
    "logs:DeleteLogDelivery": "log delivery knows no resource",
    "logs:DescribeLogGroups": "how Step Functions finds the group that it delivers to",
    "logs:DescribeResourcePolicies": "resource policies know no resource",
    "logs:GetLogDelivery": "log delivery knows no resource",
    "logs:ListLogDeliveries": "log delivery knows no resource",
    "logs:PutResourcePolicy": "resource policies know no resource",
    "logs:UpdateLogDelivery": "log delivery knows no resource",
    "xray:GetSamplingRules": "X-Ray knows no resource for it",
    "xray:GetSamplingTargets": "X-Ray knows no resource for it",
    "xray:PutTelemetryRecords": "X-Ray knows no resource for what is written",
    "xray:PutTraceSegments": "X-Ray knows no resource for what is written",
}
"""The whole list of what is allowed on "*", and why there is nothing narrower."""


class Allowed(NamedTuple):
    """One statement that allows something."""

    template: str
    resource: str
    kind: str
    statement: Mapping[str, Any]

    @property
    def actions(self) -> list[str]:
        """Without those of a parameter: they are chosen by whoever deploys the template."""
        return [one for one in listed(self.statement.get("Action", [])) if isinstance(one, str)]

    @property
    def on_everything(self) -> bool:
        return "*" in listed(self.statement.get("Resource", []))

    def __str__(self) -> str:
        return f"{self.template} {self.resource}: {self.actions}"


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


@cache
def expanded(path: str) -> Mapping[str, Any]:
    """The resources after SAM's transform, as if the code were packaged."""
    template = read_template(ROOT / path)
    shared = template.get("Globals", {}).get("Function", {})
    for properties in (shared, *(r.get("Properties", {}) for r in template["Resources"].values())):
        for key in PACKAGED & properties.keys():
            properties[key] = "s3://bucket/key"
    resources: Mapping[str, Any] = transform(template, path)["Resources"]
    return resources


def documents(value: Any) -> Iterator[Mapping[str, Any]]:
    """Every policy document in the properties of a resource, however deep."""
    if isinstance(value, Mapping):
        if "Statement" in value:
            yield value
        for item in value.values():
            yield from documents(item)
    elif isinstance(value, list):
        for item in value:
            yield from documents(item)


def chosen(statement: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a condition adds, if one does."""
    found: Mapping[str, Any] = statement["Fn::If"][1] if "Fn::If" in statement else statement
    return found


def allowed(path: str) -> Iterator[Allowed]:
    for name, resource in expanded(path).items():
        for document in documents(resource.get("Properties", {})):
            for statement in map(chosen, listed(document["Statement"])):
                if statement["Effect"] == "Allow":
                    yield Allowed(path, name, resource["Type"], statement)


BOUNDARY = "Boundary"  # grants nothing: it is what is taken from, not what is given
STATEMENTS = [one for path in (*OURS, EXAMPLE) for one in allowed(path)]
BELONGS_TO_RESOURCE = {"AWS::KMS::Key"}  # there "*" is the key itself


def test_every_template_says_what_it_allows() -> None:
    assert {one.template for one in STATEMENTS} == {*OURS, EXAMPLE}
    assert len(STATEMENTS) > 80


LOG_GROUPS = [
    (path, name, resource["Properties"])
    for path in OURS
    for name, resource in expanded(path).items()
    if resource["Type"] == "AWS::Logs::LogGroup"
]


@pytest.mark.parametrize(("path", "name", "group"), LOG_GROUPS, ids=lambda of: str(of)[:40])
def test_logs_are_encrypted_with_a_key_that_lets_them_and_expire(
    path: str, name: str, group: Mapping[str, Any]
) -> None:
    assert group["RetentionInDays"] == {"Ref": "LogRetentionDays"}
    key, attribute = group["KmsKeyId"]["Fn::GetAtt"]
    assert attribute == "Arn"
    (of_logs,) = (
        one.statement
        for one in STATEMENTS
        if (one.template, one.resource) == (path, key)
        and "logs." in str(one.statement["Principal"])
    )
    context = of_logs["Condition"]["ArnLike"]["kms:EncryptionContext:aws:logs:arn"]
    ends = [arn["Fn::Sub"].partition(":log-group:")[2] for arn in context]
    assert group["LogGroupName"]["Fn::Sub"] in ends, name


@pytest.mark.parametrize("one", [one for one in STATEMENTS if one.resource != BOUNDARY], ids=str)
def test_an_action_is_named_and_never_a_whole_service(one: Allowed) -> None:
    assert one.actions, "NotAction allows what nobody has thought of"
    assert not [action for action in one.actions if action.endswith(":*") or action == "*"]
    assert "NotResource" not in one.statement


def test_what_is_allowed_on_everything_has_nothing_narrower() -> None:
    beside = [one for one in STATEMENTS if one.resource != BOUNDARY]
    identity = [one for one in beside if one.kind not in BELONGS_TO_RESOURCE]
    found = {action for one in identity if one.on_everything for action in one.actions}
    assert found == ON_EVERYTHING.keys()


@pytest.mark.parametrize("path", OURS)
def test_no_role_has_a_policy_that_aws_wrote(path: str) -> None:
    for name, resource in expanded(path).items():
        for arn in listed(resource.get("Properties", {}).get("ManagedPolicyArns", [])):
            assert ":aws:policy/" not in str(arn), name


def role_of(function: str) -> dict[str, Any]:
    """The properties of a task's role, by the logical id of its function without `Function`."""
    resources = expanded("template.yaml")
    name = resources[f"{function}Function"]["Properties"]["Role"]["Fn::GetAtt"][0]
    properties: dict[str, Any] = resources[name]["Properties"]
    return properties


def test_tasks_share_a_role_only_when_their_rights_are_the_same() -> None:
    resources = expanded("template.yaml")
    roles = [
        role
        for resource in resources.values()
        for key in ("Role", "RoleArn")
        if (role := resource.get("Properties", {}).get(key))
    ]
    names = [role["Fn::GetAtt"][0] for role in roles]
    made = {name: one for name, one in resources.items() if one["Type"] == "AWS::IAM::Role"}
    assert set(names) == made.keys()
    rights = [json.dumps(role["Properties"], sort_keys=True) for role in made.values()]
    assert len(rights) == len(set(rights))  # each right stands once


def test_everybody_who_may_act_is_named_or_narrowed() -> None:
    for one in STATEMENTS:
        principal = one.statement.get("Principal", {})
        who = listed(principal.get("AWS", [])) if isinstance(principal, Mapping) else [principal]
        if "*" in who:
            assert one.statement.get("Condition"), one


@pytest.mark.parametrize(
    "task",
    ["Plan", "Preview", "RequestApproval", "Deploy", "FindCandidates", "Finish", "RestoreStack"],
)
def test_a_task_that_compares_what_builds_have_stored_may_read_it(task: str) -> None:
    assert {"Ref": "MayReadArtifacts"} in role_of(task)["ManagedPolicyArns"]


def test_a_vote_is_sealed_by_one_task_and_counted_by_another() -> None:
    key = expanded("template.yaml")["SealKey"]["Properties"]
    roles = "arn:${AWS::Partition}:iam::${AWS::AccountId}:role"
    assert (key["KeySpec"], key["KeyUsage"]) == ("HMAC_256", "GENERATE_VERIFY_MAC")
    users = {
        action: one.statement["Condition"]["ArnLike"]["aws:PrincipalArn"]["Fn::Sub"]
        for one in STATEMENTS
        if one.resource == "SealKey"
        for action in one.actions
        if "Mac" in action or "Grant" in action or "Create" in action
    }
    assert users == {
        "kms:GenerateMac": f"{roles}/${{AWS::StackName}}-OperateRole-*",
        "kms:VerifyMac": f"{roles}/${{AWS::StackName}}-DeployRole-*",
    }


def test_the_guardian_shares_no_policy_with_anybody() -> None:
    role = expanded("template.yaml")["GuardianRole"]["Properties"]
    assert "ManagedPolicyArns" not in role
    function = expanded("template.yaml")["GuardianFunction"]["Properties"]
    assert not function.keys() & {"Layers", "TracingConfig"}


def test_a_role_that_an_application_makes_is_bounded_and_never_tidegates_own() -> None:
    giving = {
        "iam:AttachRolePolicy",
        "iam:CreateRole",
        "iam:PutRolePermissionsBoundary",
        "iam:PutRolePolicy",
    }
    for one in STATEMENTS:
        if giving & set(one.actions):
            assert one.statement["Condition"]["ArnEquals"].keys() == {"iam:PermissionsBoundary"}
        assert "iam:DeleteRolePermissionsBoundary" not in one.actions
    role = expanded("pipeline/target-account.yaml")["CloudFormationRole"]["Properties"]
    denied = [
        statement
        for document in documents(role["Policies"])
        for statement in document["Statement"]
        if statement["Effect"] == "Deny" and statement.get("Action") == "iam:*"
    ]
    assert {"Ref": BOUNDARY} in denied[0]["Resource"]


def test_the_build_names_the_boundary_that_the_target_account_makes() -> None:
    made = expanded("pipeline/target-account.yaml")[BOUNDARY]["Properties"]["ManagedPolicyName"]
    assert boundary.BOUNDARY.endswith(f":policy/{made}")
