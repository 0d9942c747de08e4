"""What a template opens to others, and what it no longer guards."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tidegate.core.model.plan import Target
from tidegate.core.template.security import Deployment, no_comparison, opened

PROD = Target(
    account="333333333333",
    region="eu-west-1",
    role_arn="arn:aws:iam::333333333333:role/tidegate-target",
    stack_name="shop-prod",
)
CHINA = PROD.model_copy(update={"role_arn": "arn:aws-cn:iam::333333333333:role/tidegate-target"})
PARAMETERS = {
    "Partner": {"Type": "String", "Default": ""},
    "Secret": {"Type": "String", "Default": "999999999999", "NoEcho": True},
    "Stored": {"Type": "AWS::SSM::Parameter::Value<String>", "Default": "/partner"},
}
CONDITIONS = {
    "Never": {"Fn::Equals": ["a", "b"]},
    "Here": {"Fn::Equals": [{"Ref": "AWS::Region"}, "eu-west-1"]},
    "Stored": {"Fn::Equals": [{"Ref": "Stored"}, "b"]},
}
ROOT = {"Fn::Sub": "arn:${AWS::Partition}:iam::${AWS::AccountId}:root"}
UNKNOWN = "somebody who is not known here"


def deployment(
    resources: dict[str, Any], target: Target = PROD, /, **parameters: str
) -> Deployment:
    template = {"Parameters": PARAMETERS, "Conditions": CONDITIONS, "Resources": resources}
    return Deployment(template, parameters, target)


def said(kind: str, properties: Any, target: Target = PROD, /, **parameters: str) -> list[str]:
    """What is said of one resource, beside a role and a custom resource."""
    others = {"Own": {"Type": "AWS::IAM::Role"}, "Custom": {"Type": "Custom::Thing"}}
    resources = {"It": {"Type": kind, "Properties": properties}, **others}
    lines = opened(deployment(resources, target, **parameters), None)
    assert {line.logical_id for line in lines} <= {"It"}
    return [line.what for line in lines]


def trust(principal: Any, **more: Any) -> list[str]:
    statement = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": principal, **more}
    return said("AWS::IAM::Role", {"AssumeRolePolicyDocument": {"Statement": [statement]}})


def may(action: Any, resource: Any = "*", **more: Any) -> list[str]:
    statement = {"Effect": "Allow", "Action": action, "Resource": resource, **more}
    document = {"Statement": statement}
    return said("AWS::IAM::Role", {"Policies": [{"PolicyName": "p", "PolicyDocument": document}]})


@pytest.mark.parametrize(
    ("auth", "what"),
    [
        ("AWS_IAM", []),
        ("NONE", ["is a public URL: everybody may call ${Hello}, unsigned"]),
        (
            {"Ref": "Stored"},
            ["is a URL of ${Hello}, and who may call it is not known here: ${Stored}"],
        ),
        (
            {"Fn::If": ["Stored", "AWS_IAM", "NONE"]},
            ["is a public URL: everybody may call ${Hello}, unsigned"],
        ),
        ({"Fn::If": ["Here", "AWS_IAM", "NONE"]}, []),
        ({"Fn::If": ["Stored", "AWS_IAM", {"Ref": "AWS::NoValue"}]}, []),
    ],
)
def test_a_function_url_is_public_unless_it_wants_a_signature(auth: Any, what: list[str]) -> None:
    properties = {"AuthType": auth, "TargetFunctionArn": {"Ref": "Hello"}}
    assert said("AWS::Lambda::Url", properties) == what


@pytest.mark.parametrize(
    ("properties", "what"),
    [
        ({"Principal": "*"}, ["lets everybody call ${Hello}"]),
        (
            {"Principal": "*", "PrincipalOrgID": "o-1"},
            ["lets everybody call ${Hello}, only under a condition on PrincipalOrgID o-1"],
        ),
        ({"Principal": "s3.amazonaws.com"}, []),
        ({"Principal": {"Fn::Sub": "logs.${AWS::Region}.${AWS::URLSuffix}"}}, []),
        ({"Principal": "333333333333"}, []),
        ({"Principal": {"Ref": "AWS::AccountId"}}, []),
        ({"Principal": "999999999999"}, ["lets account 999999999999 call ${Hello}"]),
        ({"Principal": {"Ref": "Partner"}}, ["lets account 999999999999 call ${Hello}"]),
        (
            {"Principal": "arn:aws:iam::999999999999:role/x"},
            ["lets account 999999999999 (arn:aws:iam::999999999999:role/x) call ${Hello}"],
        ),
        ({"Principal": {"Ref": "Secret"}}, [f"lets {UNKNOWN}: ${{Secret}} call ${{Hello}}"]),
        (
            {"Principal": {"Fn::ImportValue": "partner"}},
            [f'lets {UNKNOWN}: ${{{{"Fn::ImportValue":"partner"}}}} call ${{Hello}}'],
        ),
        (
            {"Principal": "{{resolve:ssm:/partner}}"},
            [f"lets {UNKNOWN}: {{{{resolve:ssm:/partner}}}} call ${{Hello}}"],
        ),
    ],
)
def test_a_permission_says_who_may_call(properties: dict[str, Any], what: list[str]) -> None:
    given = {"FunctionName": {"Ref": "Hello"}, **properties}
    assert said("AWS::Lambda::Permission", given, Partner="999999999999") == what


def test_a_bus_and_a_layer_are_let_others_use() -> None:
    layer = {"LayerVersionArn": "arn:layer", "Principal": "*", "OrganizationId": "o-1"}
    assert said("AWS::Lambda::LayerVersionPermission", layer) == [
        "lets everybody use arn:layer, only under a condition on OrganizationId o-1"
    ]
    bus = {"Principal": "999999999999", "StatementId": "x"}
    assert said("AWS::Events::EventBusPolicy", bus) == ["lets account 999999999999 use"]


@pytest.mark.parametrize(
    ("principal", "who"),
    [
        ("*", ["everybody"]),
        ({"AWS": "*"}, ["everybody"]),
        ({"AWS": ROOT}, []),
        ({"AWS": {"Fn::GetAtt": ["Own", "Arn"]}}, []),
        ({"AWS": {"Fn::GetAtt": "Own.Arn"}}, []),
        ({"AWS": {"Fn::Sub": "${Own.Arn}"}}, []),
        (
            {"AWS": {"Fn::GetAtt": ["Custom", "Arn"]}},
            [f"{UNKNOWN}: ${{Custom.Arn}}"],
        ),
        ({"AWS": ["arn:aws:iam::999999999999:root", ROOT]}, ["account 999999999999"]),
        (
            {"AWS": {"Fn::Join": ["", ["arn:aws:iam::", {"Ref": "Secret"}, ":root"]]}},
            [f"{UNKNOWN}: arn:aws:iam::${{Secret}}:root"],
        ),
        (
            {"AWS": {"Fn::Sub": ["arn:aws:iam::${A}:role/${Own}", {"A": "999999999999"}]}},
            ["account 999999999999 (arn:aws:iam::999999999999:role/${Own})"],
        ),
        ({"AWS": "AROAEXAMPLE"}, ["AROAEXAMPLE"]),
        ({"Service": "lambda.amazonaws.com"}, []),
        ({"Service": {"Ref": "Stored"}}, [f"{UNKNOWN}: ${{Stored}}"]),
        (
            {"Federated": "cognito-identity.amazonaws.com"},
            ["identities of cognito-identity.amazonaws.com"],
        ),
        ({"Ref": "Stored"}, [f"{UNKNOWN}: ${{Stored}}"]),
        (
            {"Fn::If": ["Stored", {"AWS": "999999999999"}, {"AWS": "888888888888"}]},
            ["account 999999999999", "account 888888888888"],
        ),
    ],
)
def test_a_trust_says_who_may_assume_the_role(principal: Any, who: list[str]) -> None:
    assert trust(principal) == [f"may be assumed by {one}" for one in who]


def test_a_trust_names_what_it_is_bound_to() -> None:
    condition = {"StringEquals": {"sts:ExternalId": "x"}, "Bool": {"aws:MFA": True}, "Odd": "y"}
    assert trust({"AWS": "999999999999"}, Condition=condition) == [
        "may be assumed by account 999999999999, only under a condition on sts:ExternalId, aws:MFA"
    ]


def test_whoever_is_not_excepted_is_everybody() -> None:
    statement = {"Effect": "Allow", "NotPrincipal": {"AWS": "1"}, "NotAction": "s3:*"}
    assert said("AWS::SQS::QueuePolicy", {"PolicyDocument": {"Statement": statement}}) == [
        'lets everybody but {"AWS":"1"} do all but some actions'
    ]


@pytest.mark.parametrize(
    ("action", "what"),
    [
        ("*", ["may do everything on *"]),
        ("*:*", ["may do everything on *"]),
        ("iam:*", ["may iam:* on *, and so give permissions away"]),
        ("IAM:Put*", ["may IAM:Put* on *, and so give permissions away"]),
        (
            ["iam:PassRole", "s3:GetObject"],
            ["may iam:PassRole on *, and so give permissions away"],
        ),
        ("i?m:CreateUser", ["may i?m:CreateUser on *, and so give permissions away"]),
        ("iam:Get*", []),
        (["dynamodb:*", "s3:*"], []),
        ({"Ref": "Stored"}, ["may do what is not known here: ${Stored} on *"]),
    ],
)
def test_a_policy_says_what_makes_it_mighty(action: Any, what: list[str]) -> None:
    assert may(action) == what


def test_what_is_denied_or_narrowed_is_no_might() -> None:
    assert may("*", Effect="Deny") == []
    assert may("iam:PassRole", "arn:aws:iam::333333333333:role/shop") == []
    assert may("*", Condition={"Bool": {"aws:MFA": "true"}}) == [
        "may do everything on *, only under a condition on aws:MFA"
    ]


def test_everything_but_something_is_nearly_everything() -> None:
    statement = {"Effect": "Allow", "NotAction": ["s3:*", "iam:*"], "NotResource": "x"}
    assert said("AWS::IAM::Policy", {"PolicyDocument": {"Statement": statement}}) == [
        "may do everything on all but some resources but s3:*, iam:*"
    ]


def test_managed_policies_of_administrators_stand_out() -> None:
    arns = [
        "arn:aws:iam::aws:policy/AdministratorAccess",
        "arn:aws:iam::aws:policy/AdministratorAccess-Amplify",
        {"Fn::Sub": "arn:${AWS::Partition}:iam::aws:policy/PowerUserAccess"},
        "arn:aws:iam::aws:policy/IAMFullAccess",
        "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole",
        {"Ref": "Own"},
        {"Ref": "Stored"},
        {"Ref": "AWS::NoValue"},
    ]
    assert said("AWS::IAM::Role", {"ManagedPolicyArns": arns}) == [
        "has AdministratorAccess",
        "has AdministratorAccess-Amplify",
        "has PowerUserAccess",
        "has IAMFullAccess",
        "has a managed policy that is not known here: ${Stored}",
    ]


@pytest.mark.parametrize(
    ("kind", "properties"),
    [
        ("AWS::S3::BucketPolicy", {"PolicyDocument": "DOCUMENT"}),
        ("AWS::KMS::Key", {"KeyPolicy": "DOCUMENT"}),
        ("AWS::ECR::Repository", {"RepositoryPolicyText": "TEXT"}),
        ("AWS::ApiGateway::RestApi", {"Body": {"x-amazon-apigateway-policy": "DOCUMENT"}}),
        ("AWS::ApiGateway::RestApi", {"Policy": {"Nested": [{"PolicyDocument": "DOCUMENT"}]}}),
        ("AWS::SNS::TopicPolicy", {"PolicyDocument": {"Fn::If": ["Stored", "DOCUMENT", {}]}}),
    ],
)
def test_the_policy_of_a_resource_is_found_wherever_it_is(kind: str, properties: Any) -> None:
    document = {"Statement": [{"Effect": "Allow", "Principal": "*", "Action": "x:Use"}]}
    written = json.dumps(properties).replace('"DOCUMENT"', json.dumps(document))
    written = written.replace('"TEXT"', json.dumps(json.dumps(document)))
    assert said(kind, json.loads(written)) == ["lets everybody do x:Use"]


@pytest.mark.parametrize(
    ("properties", "what"),
    [
        (
            {"PolicyDocument": {"Ref": "Stored"}},
            'a policy that is not known here: {"Ref":"Stored"}',
        ),
        ({"PolicyDocument": "no json"}, "a policy that is not known here: no json"),
        (
            {"PolicyDocument": {"Statement": [{"Fn::Transform": {"Name": "AWS::Include"}}]}},
            'a statement that is not known here: {"Fn::Transform":{"Name":"AWS::Include"}}',
        ),
        (
            {"Fn::Transform": {"Name": "AWS::Include", "Parameters": {"Location": "x" * 150}}},
            "properties that are not known here: "
            '{"Fn::Transform":{"Name":"AWS::Include","Parameters":{"Location":"' + "x" * 54 + "…",
        ),
    ],
)
def test_what_is_not_known_is_said(properties: Any, what: str) -> None:
    assert said("AWS::IAM::Policy", properties) == [f"has {what}"]


def test_a_stack_in_the_stack_and_macros_are_not_looked_at() -> None:
    assert said("AWS::CloudFormation::Stack", {"TemplateURL": "x"}) == [
        "is a stack of its own, whose template is not looked at"
    ]
    template = {"Transform": "Mine", "Resources": {}}
    (line,) = opened(Deployment(template, {}, PROD), None)
    assert str(line.what) == "changes the template after it was looked at: Mine"


def test_a_resource_that_is_not_made_opens_nothing() -> None:
    url = {"Type": "AWS::Lambda::Url", "Properties": {"AuthType": "NONE"}}
    resources = {name: {**url, "Condition": name} for name in CONDITIONS}
    found = {line.logical_id for line in opened(deployment(resources), None)}
    assert found == {"Here", "Stored"}


def test_services_of_other_partitions_are_services() -> None:
    principal = {"Principal": {"Fn::Sub": "s3.${AWS::URLSuffix}"}}
    assert said("AWS::Lambda::Permission", principal, CHINA) == []


# --- against what is live

ENFORCED = '{"UntrustedArtifactOnDeployment":"Enforce"}'


def role(**properties: Any) -> dict[str, Any]:
    return {"Role": {"Type": "AWS::IAM::Role", "Properties": properties}}


def against(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    return [line.what for line in opened(deployment(after), deployment(before))]


def test_only_what_is_new_is_said() -> None:
    admin = role(ManagedPolicyArns=["arn:aws:iam::aws:policy/AdministratorAccess"])
    assert against(admin, admin) == []
    assert against(role(), admin) == ["has AdministratorAccess"]
    assert against(admin, role()) == []


def test_a_parameter_opens_what_the_template_leaves_to_it() -> None:
    permission = {"Principal": {"Ref": "Partner"}, "FunctionName": "f"}
    resources = {"P": {"Type": "AWS::Lambda::Permission", "Properties": permission}}
    before = deployment(resources, Partner="333333333333")
    after = deployment(resources, Partner="999999999999")
    (line,) = opened(after, before)
    assert line.what == "lets account 999999999999 call f"


@pytest.mark.parametrize(
    ("kind", "before", "after", "what"),
    [
        (
            "AWS::Lambda::Function",
            {"CodeSigningConfigArn": {"Ref": "Signing"}},
            {},
            ["loses its code signing, which was ${Signing}"],
        ),
        (
            "AWS::Lambda::Function",
            {"CodeSigningConfigArn": "a"},
            {"CodeSigningConfigArn": "b"},
            ["changes its code signing: b, not a"],
        ),
        ("AWS::Lambda::Function", {}, {"CodeSigningConfigArn": "b"}, []),
        (
            "AWS::Lambda::CodeSigningConfig",
            {"CodeSigningPolicies": {"UntrustedArtifactOnDeployment": "Enforce"}},
            {"CodeSigningPolicies": {"UntrustedArtifactOnDeployment": "Warn"}},
            [f"loses its refusal of unsigned code, which was {ENFORCED}"],
        ),
        (
            "AWS::IAM::Role",
            {"PermissionsBoundary": "mine"},
            {"PermissionsBoundary": "other"},
            ["changes its permissions boundary: other, not mine"],
        ),
        ("AWS::IAM::Role", {"PermissionsBoundary": "mine"}, None, []),
    ],
)
def test_a_guard_that_goes_is_said(kind: str, before: Any, after: Any, what: list[str]) -> None:
    then = {"It": {"Type": kind, "Properties": before}}
    now = {} if after is None else {"It": {"Type": kind, "Properties": after}}
    assert against(then, now) == what


def test_where_nothing_can_be_compared_that_is_said() -> None:
    line = no_comparison(deployment({}))
    assert line.logical_id == "shop-prod"
    assert "is not compared" in line.what
