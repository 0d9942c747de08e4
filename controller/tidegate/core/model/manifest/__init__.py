"""The manifest, ``tidegate.yaml``: how an application is tested, where it goes, and how carefully.

Each class is a part of the file; the text below each key is its description in the JSON Schema.
``fields`` are single values, ``checks`` the analysis, ``stage`` tests, hooks and stages,
``manifest`` the whole; ``messages`` turns pydantic's errors into ours.
"""

from tidegate.core.model.manifest.checks import (
    ChecksSpec,
    CompareSpec,
    CountSpec,
    ErrorChecks,
    LatencyChecks,
    MetricCheck,
    MetricId,
    MetricStatSpec,
    ProbeSpec,
    WhenTooFew,
)
from tidegate.core.model.manifest.fields import Name, Path, check_distinct, pattern
from tidegate.core.model.manifest.manifest import Manifest, manifest_schema, parse_manifest
from tidegate.core.model.manifest.stage import (
    TOPIC_ARN,
    Account,
    ApprovalSpec,
    Hook,
    Hooks,
    HookSpec,
    NotificationSpec,
    Parameter,
    ParameterName,
    Region,
    RoleArn,
    StackName,
    StageSpec,
    TestSpec,
    Topic,
    TriggerName,
)

__all__ = [
    "TOPIC_ARN",
    "Account",
    "ApprovalSpec",
    "ChecksSpec",
    "CompareSpec",
    "CountSpec",
    "ErrorChecks",
    "Hook",
    "HookSpec",
    "Hooks",
    "LatencyChecks",
    "Manifest",
    "MetricCheck",
    "MetricId",
    "MetricStatSpec",
    "Name",
    "NotificationSpec",
    "Parameter",
    "ParameterName",
    "Path",
    "ProbeSpec",
    "Region",
    "RoleArn",
    "StackName",
    "StageSpec",
    "TestSpec",
    "Topic",
    "TriggerName",
    "WhenTooFew",
    "check_distinct",
    "manifest_schema",
    "parse_manifest",
    "pattern",
]
