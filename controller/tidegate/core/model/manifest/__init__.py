"""The manifest, ``tidegate.yaml``: how an application is tested, where it goes, and how carefully.

Each class is a part of the file; the text below each key is its description in the JSON Schema.
``fields`` are single values, ``checks`` the analysis, ``stage`` tests, hooks and stages,
``manifest`` the whole; ``messages`` turns pydantic's errors into ours.
"""

from tidegate.core.model.manifest.checks import (
    ChecksSpec,
    CompareSpec,
    CountSpec,
    LatencyChecks,
    MetricCheck,
    ProbeSpec,
)
from tidegate.core.model.manifest.manifest import Manifest, manifest_schema, parse_manifest
from tidegate.core.model.manifest.stage import (
    TOPIC_ARN,
    ApprovalSpec,
    HookSpec,
    NotificationSpec,
    StageSpec,
    TestSpec,
)

__all__ = [
    "TOPIC_ARN",
    "ApprovalSpec",
    "ChecksSpec",
    "CompareSpec",
    "CountSpec",
    "HookSpec",
    "LatencyChecks",
    "Manifest",
    "MetricCheck",
    "NotificationSpec",
    "ProbeSpec",
    "StageSpec",
    "TestSpec",
    "manifest_schema",
    "parse_manifest",
]
