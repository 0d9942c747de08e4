"""What is known of pipelines and their executions."""

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

ZIP: Final = "application/zip"


@dataclass(frozen=True, slots=True)
class Artifact:
    """An object of the artifact store."""

    name: str
    bucket: str
    key: str
    revision: str = ""
    """The commit from which it was made, if one is known."""
    summary: str = ""
    content_type: str = ZIP


@dataclass(slots=True)
class ActionRun:
    """One run of an action."""

    id: str
    stage: str
    declaration: Mapping[str, Any]
    inputs: list[Artifact]
    settings: dict[str, str] = field(default_factory=dict)
    """The configuration, variables replaced."""
    status: str = "InProgress"
    started: float = field(default_factory=time.time)
    updated: float = field(default_factory=time.time)
    outputs: list[Artifact] = field(default_factory=list)
    variables: dict[str, str] = field(default_factory=dict)
    external_id: str = ""
    external_url: str = ""
    summary: str = ""
    error: dict[str, str] | None = None

    @property
    def name(self) -> str:
        """The action's name in the declaration."""
        name: str = self.declaration["name"]
        return name

    def end(self, status: str) -> None:
        """The run is over."""
        self.status = status
        self.updated = time.time()


@dataclass(slots=True, eq=False)
class Execution:
    """One execution of a pipeline. Its own threads write it; others read, or raise its flags."""

    id: str
    definition: Mapping[str, Any]
    """The declaration as it was when the execution started."""
    version: int
    trigger_type: str
    trigger_detail: str
    variables: dict[str, str]
    revisions: Mapping[str, str]
    """Commits to take, by the name of the source action; the head of its branch otherwise."""
    status: str = "InProgress"
    summary: str = ""
    started: float = field(default_factory=time.time)
    updated: float = field(default_factory=time.time)
    stages: dict[str, str] = field(default_factory=dict)
    """Status of each stage that was entered."""
    actions: list[ActionRun] = field(default_factory=list)
    artifacts: dict[str, Artifact] = field(default_factory=dict)
    namespaces: dict[str, dict[str, str]] = field(default_factory=dict)
    stop_reason: str = ""
    is_superseded: bool = False
    stopping: threading.Event = field(default_factory=threading.Event)
    """Nothing more is to begin."""
    abandoned: threading.Event = field(default_factory=threading.Event)
    """What runs is not to be waited for."""

    @property
    def mode(self) -> str:
        """How it shares the stages with other executions."""
        mode: str = self.definition["executionMode"]
        return mode

    def set_status(self, status: str) -> None:
        """Move to another status."""
        self.status = status
        self.updated = time.time()

    def set_stage(self, stage: str, status: str) -> None:
        """Record the status of a stage."""
        self.stages[stage] = status
        self.updated = time.time()
