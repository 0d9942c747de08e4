"""How long a step of a big stack takes within Lambda's control-plane limit.

Deploys a stack of many functions to the embedded AWS, has the limit of 15 calls a second enforced
there, and moves every alias as a tick does: look at all of them, then write each.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import boto3
import typer

from bench.sections import put_section
from tidegate.aws.aliases import LambdaAliases
from tidegate.aws.rate_limit import RateLimit, keep_rate
from tidegate.aws.session import SHARED, Clients
from tidegate.aws.stacks import CloudFormationStacks, TemplateUrls
from tidegate.aws.targets import CALLS_AT_ONCE, CALLS_PER_SECOND
from tidegate.core.model.record import Shift
from tidegate.core.ports import StackSpec
from tidegate.core.workflow.target.routing import apply_weight, changed_by_others
from tidegate_embedded.cloud import DEFAULT_REGION, EmbeddedAws, default_plugins
from tidegate_embedded.lambdas.limits import PER_SECOND, LambdaRateLimit

ACCOUNT = "333333333333"
STACK = "fleet-prod"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/fleet"


def template(functions: int, *versions: int) -> Mapping[str, Any]:
    """Functions with these published versions; every alias stays on the first."""
    resources: dict[str, Any] = {}
    for number in range(functions):
        name = f"F{number:03d}"
        code = f"def handler(event, context): return {versions[-1]}"
        resources[name] = {
            "Type": "AWS::Lambda::Function",
            "Properties": {
                "Code": {"ZipFile": code},
                "Handler": "index.handler",
                "Runtime": "python3.12",
                "Role": ROLE,
            },
        }
        for version in versions:
            resources[f"{name}V{version}"] = {
                "Type": "AWS::Lambda::Version",
                "DeletionPolicy": "Retain",
                "Properties": {"FunctionName": {"Ref": name}},
            }
        resources[f"{name}Live"] = {
            "Type": "AWS::Lambda::Alias",
            "Properties": {"FunctionName": {"Ref": name}, "Name": "live", "FunctionVersion": "1"},
            "DependsOn": f"{name}V1",
        }
    return {"Resources": resources}


def deploy(stacks: CloudFormationStacks, url: str, token: str) -> float:
    """Seconds from the change set to a stack at rest."""
    begun = time.monotonic()
    while (made := stacks.preview(StackSpec(STACK, url, {}), token)) is None:
        time.sleep(0.1)
    stacks.execute(made.id, token)
    while (state := stacks.state(STACK)).busy:
        time.sleep(0.1)
    if not state.status.endswith("_COMPLETE"):
        raise SystemExit(f"{STACK} is {state.status}: {state.reason}")
    return time.monotonic() - begun


def shift(aliases: LambdaAliases, shifts: Sequence[Shift], before: float, after: float) -> float:
    """Seconds that one step takes."""
    begun = time.monotonic()
    if strange := changed_by_others(aliases, shifts, [before, after]):
        raise SystemExit(strange[0])
    for one in shifts:
        apply_weight(aliases, one, after)
    return time.monotonic() - begun


def run(functions: int) -> list[str]:
    """Deploy, step, promote; a row of a table for each, with what it took."""
    rows = []
    limit = LambdaRateLimit()
    with EmbeddedAws([limit, *default_plugins()]) as aws:
        s3 = aws.client("s3", account=ACCOUNT)
        location = {"LocationConstraint": DEFAULT_REGION}
        s3.create_bucket(Bucket="bench", CreateBucketConfiguration=location)
        os.environ.update(aws.environment(account=ACCOUNT))
        clients = Clients(boto3.Session())
        stacks = CloudFormationStacks(
            clients.make("cloudformation"), templates=TemplateUrls(clients)
        )
        for number, versions in enumerate([(1,), (1, 2)], start=1):
            body = json.dumps(template(functions, *versions))
            s3.put_object(Bucket="bench", Key=f"{number}.json", Body=body)
            took = deploy(stacks, f"s3://bench/{number}.json", f"bench-{number}")
            words = "first deployment" if number == 1 else "deployment of a second version of each"
            rows.append(f"| {words} | {took:.1f} s | | | |")
        names = stacks.state(STACK).resources
        shifts = [
            Shift(function=names[f"F{n:03d}"], alias="live", stable="1", candidate="2")
            for n in range(functions)
        ]
        client = clients.make("lambda", SHARED)
        keep_rate(client, RateLimit(CALLS_PER_SECOND, CALLS_AT_ONCE))
        limit.enforced = True
        for words, before, after in (("step to 10 %", 0.0, 0.1), ("promotion", 0.1, 1.0)):
            limit.calls = limit.refused = 0
            took = shift(LambdaAliases(client), shifts, before, after)
            rows.append(
                f"| {words} | {took:.1f} s | {limit.calls} | {limit.calls / took:.1f} |"
                f" {limit.refused} |"
            )
    return rows


def page(functions: int, rows: Sequence[str]) -> str:
    """The section of docs/bench.md."""
    table = [
        "| | takes | calls | calls a second | refused |",
        "| --- | ---: | ---: | ---: | ---: |",
        *rows,
    ]
    words = f"""\
A stack of {functions} functions in the embedded AWS, which refuses more than {PER_SECOND} calls of
Lambda's control plane in a second, as AWS does for an account and region. A step looks at every
alias and then writes each; all of them get the weight in one tick.
"""
    return "\n".join([words, *table])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--functions", type=int, default=100)
    parser.add_argument("--page", type=Path, help="where to write the section, too")
    options = parser.parse_args()
    section = page(options.functions, run(options.functions))
    typer.echo(section)
    if options.page:
        put_section(options.page, "A stack of many functions", section)
