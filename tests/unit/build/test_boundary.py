"""Every role of an application is bounded."""

from tidegate.build.boundary import BOUNDARY
from tidegate.build.expand import expand_template

FUNCTION = {
    "Type": "AWS::Serverless::Function",
    "Properties": {
        "CodeUri": "s3://bucket/code.zip",
        "Handler": "app.handler",
        "Runtime": "python3.12",
        "AutoPublishAlias": "live",
    },
}


def test_a_role_that_sam_makes_gets_the_boundary_of_the_target_account() -> None:
    expansion = expand_template(
        {"Transform": "AWS::Serverless-2016-10-31", "Resources": {"Hello": FUNCTION}}
    )
    role = expansion.template["Resources"]["HelloRole"]["Properties"]
    assert role["PermissionsBoundary"] == {"Fn::Sub": BOUNDARY}


def test_a_boundary_of_ones_own_stays() -> None:
    own = "arn:aws:iam::123456789012:policy/ours"
    role = {"Type": "AWS::IAM::Role", "Properties": {"PermissionsBoundary": own}}
    expansion = expand_template({"Resources": {"Ours": role}})
    assert expansion.template["Resources"]["Ours"]["Properties"]["PermissionsBoundary"] == own
