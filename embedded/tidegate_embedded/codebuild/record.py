"""The record of one build, as BatchGetBuilds shows it."""

import copy
import threading
import time
from collections.abc import Mapping
from typing import Any

from tidegate_embedded.eventbridge.events import publish_service_event


class BuildRecord:
    """What is known of a build; safe to read while it runs."""

    def __init__(self, fields: Mapping[str, Any], *, account: str, region: str) -> None:
        self.account = account
        self.region = region
        self._lock = threading.Lock()
        self._fields: dict[str, Any] = {
            **fields,
            "startTime": time.time(),
            "buildStatus": "IN_PROGRESS",
            "buildComplete": False,
            "phases": [],
        }

    def __getitem__(self, name: str) -> Any:
        with self._lock:
            return copy.deepcopy(self._fields[name])

    def describe(self) -> dict[str, Any]:
        """The `Build` of the API."""
        with self._lock:
            return copy.deepcopy(self._fields)

    def update(self, **fields: Any) -> None:
        """Set fields of the record."""
        with self._lock:
            self._fields.update(fields)

    def enter(self, phase: str) -> None:
        """Begin a phase."""
        with self._lock:
            self._fields["currentPhase"] = phase
            self._fields["phases"].append({"phaseType": phase, "startTime": time.time()})

    def leave(self, status: str, code: str = "", message: str = "") -> None:
        """End the phase that runs, with the context that explains its status."""
        with self._lock:
            phase = self._fields["phases"][-1]
            now = time.time()
            phase.update(
                phaseStatus=status,
                endTime=now,
                durationInSeconds=int(now - phase["startTime"]),
                contexts=[{"statusCode": code, "message": message}],
            )

    def pass_through(self, phase: str) -> None:
        """Record a phase in which nothing happens here."""
        self.enter(phase)
        self.leave("SUCCEEDED")

    def complete(self, status: str) -> None:
        """End the build."""
        with self._lock:
            now = time.time()
            self._fields["currentPhase"] = "COMPLETED"
            self._fields["phases"].append({"phaseType": "COMPLETED", "startTime": now})
            self._fields.update(buildStatus=status, buildComplete=True, endTime=now)

    def publish(self) -> None:
        """Tell the event bus the status of the build."""
        build = self.describe()
        publish_service_event(
            account=self.account,
            region=self.region,
            source="aws.codebuild",
            detail_type="CodeBuild Build State Change",
            detail={
                "build-status": build["buildStatus"],
                "project-name": build["projectName"],
                "build-id": build["arn"],
                "current-phase": build.get("currentPhase", "SUBMITTED"),
                "current-phase-context": "[]",
                "additional-information": {
                    "initiator": build["initiator"],
                    "build-complete": build["buildComplete"],
                    "build-number": build["buildNumber"],
                    "source": build["source"],
                    "artifact": build.get("artifacts", {}),
                    "logs": build["logs"],
                    "phases": [_event_phase(phase) for phase in build["phases"]],
                },
                "version": "1",
            },
            resources=[build["arn"]],
        )


def _event_phase(phase: Mapping[str, Any]) -> dict[str, Any]:
    """A phase as events spell it."""
    event: dict[str, Any] = {"phase-type": phase["phaseType"]}
    if "phaseStatus" in phase:
        event["phase-status"] = phase["phaseStatus"]
        event["duration-in-seconds"] = phase["durationInSeconds"]
        event["phase-context"] = [
            f"{context['statusCode']}: {context['message']}" for context in phase["contexts"]
        ]
    return event
