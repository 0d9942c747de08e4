"""What the demonstration pushes, and what must come of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ruamel.yaml import YAML

from tidegate.core.model.record import ReleasePhase
from tidegate_embedded.install import PYTHON_RUNTIME

PAYLOADS: Final = tuple({"name": name} for name in ("Ada", "Grace", "Linus", "Maria", "Zoë"))
"""What users send. One of the five has a name that not every change copes with."""

REQUESTS_PER_SECOND: Final = 40.0


@dataclass(frozen=True)
class Chapter:
    """One commit, and how its release has to end.

    ``live`` says for each stage which chapter's commit is live afterwards. ``candidate_in_prod``
    says whether the candidate gets requests of users in prod, and ``fails_there`` whether some of
    them fail.
    """

    number: int
    title: str
    phase: ReleasePhase
    live: Mapping[str, int]
    patch: str = ""  # none is the first commit
    error: str = ""
    candidate_in_prod: bool = False
    fails_there: bool = False


CHAPTERS: Final = (
    Chapter(
        1,
        "A first deployment",
        phase=ReleasePhase.SUCCEEDED,
        live={"test": 1, "prod": 1},
        candidate_in_prod=True,
    ),
    Chapter(
        2,
        "A good change, shifted in steps under traffic",
        patch="2-warmer-greeting.patch",
        phase=ReleasePhase.SUCCEEDED,
        live={"test": 2, "prod": 2},
        candidate_in_prod=True,
    ),
    Chapter(
        3,
        "A change that passes every test and fails one request in five",
        patch="3-fails-one-in-five.patch",
        phase=ReleasePhase.FAILED,
        error="Unhealthy",
        live={"test": 3, "prod": 2},
        candidate_in_prod=True,
        fails_there=True,
    ),
    Chapter(
        4,
        "A change that its pre-traffic hook stops",
        patch="4-fails-its-hook.patch",
        phase=ReleasePhase.FAILED,
        error="HookFailed",
        live={"test": 3, "prod": 2},
    ),
)


def adapt(manifest: Path) -> None:
    """Fit a manifest to a demonstration: bakes of seconds, few samples, this machine's Python."""
    yaml = YAML()
    document: Any = yaml.load(manifest)
    for stage in document["stages"]:
        stage["parameters"]["PythonRuntime"] = PYTHON_RUNTIME
        if isinstance(stage["strategy"], dict):
            for step, bake in zip(stage["strategy"]["steps"], ("8s", "6s"), strict=True):
                step["bake"] = bake
            stage["checks"]["errors"] |= {"min_samples": 25, "extend": "30s"}
    yaml.dump(document, manifest)
