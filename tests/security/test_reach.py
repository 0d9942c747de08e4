"""What a role of an application never does, whatever its policies say, by AWS's list of actions."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from tidegate.build.template import read_template
from tidegate.core.approval.identity import matches
from tidegate.core.template.values import Values

TEMPLATE = read_template(Path(__file__).parents[2] / "pipeline" / "target-account.yaml")
CONTROLLER, ELSEWHERE = "111111111111", "222222222222"
BUCKET = f"tidegate-hello-{CONTROLLER}-eu-west-1"
PARAMETERS = {
    "ControllerAccount": CONTROLLER,
    "ArtifactBucket": BUCKET,
    "ApplicationPrefix": "hello",
    "ArtifactKeyArn": f"arn:aws:kms:eu-west-1:{CONTROLLER}:key/artifacts",
    "ExternalId": "external",
}
LONGEST_MANAGED, LONGEST_INLINE = 6144, 10_240  # characters without spaces ("IAM quotas")


def published() -> Iterator[str]:
    """Every action that AWS publishes, in small letters, as cfn-lint carries the list."""
    text = (files("cfnlint") / "data/AdditionalSpecs/Policies.json").read_text("utf-8")
    for service, known in json.loads(text).items():
        yield from (f"{service}:{action}" for action in known["Actions"])


PUBLISHED = frozenset(published())


def resolved(resource: str, account: str, **parameters: str) -> Mapping[str, Any]:
    known = {"AWS::Partition": "aws", "AWS::AccountId": account, "AWS::Region": "eu-west-1"}
    none = {"Fn::Equals": [parameters.get("BoundaryActions", ""), ""]}
    conditions = {**TEMPLATE["Conditions"], "HasMoreActions": {"Fn::Not": [none]}}
    values = Values({**TEMPLATE, "Conditions": conditions}, PARAMETERS | parameters, known)
    properties: Mapping[str, Any] = values.resolve(TEMPLATE["Resources"][resource]["Properties"])
    return properties


def boundary(account: str = ELSEWHERE, **parameters: str) -> list[Mapping[str, Any]]:
    found: list[Mapping[str, Any]] = resolved("Boundary", account, **parameters)["PolicyDocument"][
        "Statement"
    ]
    return found


def role(account: str, policy: str = "") -> list[Mapping[str, Any]]:
    """What CloudFormation's role may do, or one policy of it."""
    return [
        statement
        for one in resolved("CloudFormationRole", account)["Policies"]
        if policy in {"", one["PolicyName"]}
        for statement in one["PolicyDocument"]["Statement"]
    ]


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def concerns(statement: Mapping[str, Any], action: str, resource: str) -> bool:
    named = [matches(action, one.lower()) for one in listed(statement.get("Action", []))]
    others = listed(statement.get("NotAction", []))
    meant = any(named) or (bool(others) and not any(matches(action, o.lower()) for o in others))
    # What is known only in a stack names resources of the stack, and none of these.
    places = [one for one in listed(statement["Resource"]) if isinstance(one, str)]
    return meant and any(matches(resource, one) for one in places)


def passes(statements: list[Mapping[str, Any]], action: str, resource: str = "any") -> bool:
    """Whether a policy that allows everything still lets this through. Conditions hold."""
    of = [one for one in statements if concerns(one, action.lower(), resource)]
    return bool(of) and all(one["Effect"] == "Allow" for one in of)


def named(statements: list[Mapping[str, Any]]) -> set[str]:
    allowed = [one for one in statements if one["Effect"] == "Allow"]
    return {action for one in allowed for action in listed(one["Action"])}


BOUNDARY = boundary()
PASSING = {action for action in PUBLISHED if passes(BOUNDARY, action)}

GOT_THROUGH = (
    "cloudtrail:StopLogging",
    "ec2-instance-connect:SendSSHPublicKey",
    "ecs:ExecuteCommand",
    "eks:CreateAccessEntry",
    "elasticmapreduce:AddJobFlowSteps",
    "glue:UpdateJob",
    "identitystore:*",
    "kms:PutKeyPolicy",
    "sagemaker:CreatePresigned*",
    "ssm:ResumeSession",
    "ssm:UpdateDocument",
    "states:UpdateStateMachine",
)
NEVER = (
    "cloudformation:*",
    "iam:*",
    "kms:CreateGrant",
    "kms:GenerateMac",
    "lambda:AddPermission",
    "lambda:UpdateFunctionCode",
    "organizations:*",
    "s3:PutBucketPolicy",
    "scheduler:CreateSchedule",
    "ssm:SendCommand",
    "sso:*",
    "sts:AssumeRole",
)


@pytest.mark.parametrize("pattern", [*GOT_THROUGH, *NEVER])
def test_no_function_makes_changes_or_becomes_something_else(pattern: str) -> None:
    meant = {action for action in PUBLISHED if matches(action, pattern.lower())}
    assert meant, "AWS publishes no such action"
    assert not meant & PASSING


def test_no_action_passes_that_is_not_named() -> None:
    """A pattern would let through what AWS adds to it one day."""
    names = named(boundary())
    assert not [name for name in names if "*" in name or "?" in name]
    assert {name.lower() for name in names} == PASSING  # and each of them exists


# What makes or changes something by its name, and why it is no more than data.
DATA = {
    "dynamodb:UpdateItem": "an item",
    "ec2:AssignPrivateIpAddresses": "how Lambda reaches a VPC, with the function's role",
    "ec2:CreateNetworkInterface": "how Lambda reaches a VPC, with the function's role",
    "ec2:DeleteNetworkInterface": "how Lambda reaches a VPC, with the function's role",
    "logs:CreateLogGroup": "a function's own log",
    "logs:CreateLogStream": "a function's own log",
    "secretsmanager:UpdateSecretVersionStage": "how a function rotates a secret",
}
MAKES = re.compile(
    r":(Add|Assign|Assume|Associate|Attach|Create|DeleteN|Disable|Enable|Grant|Modify|Pass|Put\w*Policy"
    r"|Register|Run|SendCommand|Set|StartSession|Stop|Update)"
)


def test_nothing_passes_that_makes_something_but_data() -> None:
    assert {name for name in named(boundary()) if MAKES.search(name)} == DATA.keys()


# Of what SAM's policy templates give, what is no application's daily work.
NOT_GRANTED = re.compile(
    r"acm|athena|ce|cloudformation|codecommit|codepipeline|ec2:(Copy|Describe(Im|In|R)|Detach)\w+|ecs|eks"
    r"|elasticmapreduce|logs:Filter\w+|mobile\w+|organizations|route53|sagemaker|serverlessrepo"
    r"|cloudwatch:(Describe|Get|List|PutD)\w+|firehose:(Create|Delete|Update)\w+"
    r"|dynamodb:\w*(Backups?|UpdateTable)|kinesis:(Add|Create|Decrease|Delete|DescribeL|Inc|ListT|Me|Rem|Sp)\w+"
    r"|kms:GenerateDataKeyPair\w*|polly:(Delete|Describe|Get|List|Put)\w+"
    r"|rekognition:(Create|Delete|Index|List|Search)\w+|s3:\w+(Acl|LifecycleConfiguration|VersionTagging)"
    r"|ses:(Create|Delete|Get|List|SendBounce|Test|Update|Verify)\w*|sns:(Create|List|Set|Subs)\w+"
    r"|ssm:DescribeParameters|textract:(\*|Get\w+|Start\w+)|dynamodb:DescribeContinuousBackups"
)


def test_functions_keep_what_sam_s_policy_templates_give_them() -> None:
    path = files("samtranslator") / "policy_templates_data/policy_templates.json"
    given = {
        action.lower()
        for one in json.loads(path.read_text("utf-8"))["Templates"].values()
        for statement in one["Definition"]["Statement"]
        for action in listed(statement["Action"])
        if not re.fullmatch(rf"({NOT_GRANTED.pattern})(:\w+)?", action)
    }
    given -= {"sqs:sendmessage*", "sqs:changemessagevisibilitybatch", "sqs:deletemessagebatch"}
    assert len(given) > 60
    assert given <= PASSING


def test_an_account_may_let_its_functions_do_more() -> None:
    more = boundary(BoundaryActions="cognito-idp:AdminGetUser, route53:ChangeResourceRecordSets")
    assert passes(more, "cognito-idp:AdminGetUser")
    assert not passes(boundary(), "cognito-idp:AdminGetUser")


@pytest.mark.parametrize("account", [CONTROLLER, ELSEWHERE])
def test_the_policies_are_short_enough_for_iam(account: str) -> None:
    assert size(boundary(account)) < LONGEST_MANAGED - 300  # for actions of one's own
    inline = resolved("CloudFormationRole", account)["Policies"]
    assert sum(size(one["PolicyDocument"]) for one in inline) < LONGEST_INLINE


def size(document: Any) -> int:
    return len(json.dumps(document, separators=(",", ":")))


# --- one account for everything

RECORD = f"arn:aws:dynamodb:eu-west-1:{CONTROLLER}:table/tidegate-Record-1A2B3C"
OPERATE = f"arn:aws:lambda:eu-west-1:{CONTROLLER}:function:tidegate-operate"
RELEASE = f"arn:aws:states:eu-west-1:{CONTROLLER}:stateMachine:tidegate-release"
STORED = f"arn:aws:s3:::{BUCKET}/applications/hello/packages/1.zip"
BUS = f"arn:aws:events:eu-west-1:{CONTROLLER}:event-bus/tidegate"
OURS = [
    ("dynamodb:PutItem", RECORD),
    ("dynamodb:GetItem", RECORD),
    ("dynamodb:Query", f"{RECORD}/index/any"),
    ("lambda:InvokeFunction", OPERATE),
    ("states:StartExecution", RELEASE),
    ("states:SendTaskSuccess", "*"),
    ("s3:PutObject", STORED),
    ("events:PutEvents", BUS),
    ("sns:Publish", f"arn:aws:sns:eu-west-1:{CONTROLLER}:tidegate-page"),
    ("logs:PutLogEvents", f"arn:aws:logs:eu-west-1:{CONTROLLER}:log-group:/aws/lambda/tidegate:x"),
]
EVERYTHING = {"Effect": "Allow", "Action": "*", "Resource": "*"}


@pytest.mark.parametrize(("action", "resource"), OURS)
def test_no_vote_token_or_package_by_code_of_an_application(action: str, resource: str) -> None:
    more = boundary(CONTROLLER, BoundaryActions="*")
    assert not passes(more, action, resource)
    assert passes(more, action, resource.replace("tidegate", "hello")) or resource == "*"


def test_code_of_an_application_speaks_on_the_bus_as_a_hook_and_as_nothing_else() -> None:
    (denied,) = (
        one
        for one in boundary(CONTROLLER)
        if one["Effect"] == "Deny" and one["Action"] == "events:PutEvents"
    )
    others = {"events:source": "tidegate.hook"}
    assert denied["Condition"] == {"ForAnyValue:StringNotEquals": others}


def test_an_application_in_another_account_answers_tokens_of_its_own() -> None:
    assert passes(boundary(ELSEWHERE), "states:SendTaskSuccess")
    assert not passes(boundary(CONTROLLER), "states:SendTaskSuccess")


STACK = f"arn:aws:cloudformation:eu-west-1:{CONTROLLER}:stack/tidegate/1"
MADE = [
    ("dynamodb:PutItem", RECORD),
    ("dynamodb:DeleteTable", RECORD),
    ("lambda:UpdateFunctionCode", OPERATE),
    ("lambda:AddPermission", OPERATE),
    ("states:UpdateStateMachine", RELEASE),
    ("states:SendTaskSuccess", "*"),
    ("s3:PutObject", STORED),
    ("s3:PutBucketPolicy", f"arn:aws:s3:::{BUCKET}"),
    ("events:PutRule", f"arn:aws:events:eu-west-1:{CONTROLLER}:rule/tidegate/any"),
    ("events:PutPermission", BUS),
    ("cloudformation:UpdateStack", STACK),
    ("iam:PutRolePolicy", f"arn:aws:iam::{CONTROLLER}:role/tidegate-OperateRole-1A2B3C"),
    ("kms:PutKeyPolicy", f"arn:aws:kms:eu-west-1:{CONTROLLER}:key/seals"),
]


@pytest.mark.parametrize(("action", "resource"), MADE)
def test_no_template_changes_what_is_tidegate_s(action: str, resource: str) -> None:
    """Even where the role is given everything besides (``CloudFormationPolicyArns``)."""
    assert not passes([*role(CONTROLLER), EVERYTHING], action, resource)


def test_templates_are_still_made_from_what_builds_have_stored() -> None:
    assert passes([*role(CONTROLLER)], "s3:GetObject", STORED)
    mine = f"arn:aws:lambda:eu-west-1:{CONTROLLER}:function:hello-prod-Hello"
    assert passes(role(CONTROLLER), "lambda:UpdateFunctionCode", mine)


def test_the_controller_s_keys_have_the_tag_by_which_they_are_denied() -> None:
    (denied,) = (
        one for one in role(CONTROLLER, "leave-tidegate-alone") if one.get("Action") == "kms:*"
    )
    assert denied["Condition"] == {"StringEquals": {"aws:ResourceTag/tidegate": "controller"}}
    controller = read_template(Path(__file__).parents[2] / "template.yaml")
    keys = [r for r in controller["Resources"].values() if r["Type"] == "AWS::KMS::Key"]
    for key in keys:
        assert {"Key": "tidegate", "Value": "controller"} in key["Properties"]["Tags"]
