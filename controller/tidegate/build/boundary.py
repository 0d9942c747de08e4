"""The permissions boundary of the roles that an application makes.

CloudFormation's role in a target account may make roles only with a boundary, because whoever may
give a role any policy, and the role to a function, may do anything there.
"""

from __future__ import annotations

from typing import Final

from tidegate.build.report import Report
from tidegate.build.template import Template, of_type

BOUNDARY: Final = "arn:${AWS::Partition}:iam::${AWS::AccountId}:policy/tidegate-boundary"
"""Made by pipeline/target-account.yaml."""


def bound_roles(template: Template, report: Report) -> None:
    """Give the boundary to every role that has none of its own."""
    for logical_id in of_type(template, "AWS::IAM::Role"):
        properties = template["Resources"][logical_id].setdefault("Properties", {})
        if "PermissionsBoundary" not in properties:
            properties["PermissionsBoundary"] = {"Fn::Sub": BOUNDARY}
            report.change(logical_id, "it gets the permissions boundary of the target account")
