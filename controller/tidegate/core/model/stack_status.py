"""What each status of a stack means for a release, and what mends the bad ones."""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class Standing(StrEnum):
    """Whether a stack can be deployed to."""

    READY = "ready"
    BUSY = "busy"  # CloudFormation is at work; it ends by itself
    BROKEN = "broken"  # nothing can be deployed until somebody mends it


_EMPTY: Final = "Its creation failed and nothing of it is in use: delete it"
_REPAIRS: Final = {
    "CREATE_FAILED": _EMPTY,
    "DELETE_FAILED": "Delete it, keeping what cannot be deleted",
    "IMPORT_ROLLBACK_FAILED": "Import the resource again or take it out",
    "ROLLBACK_COMPLETE": _EMPTY,
    "ROLLBACK_FAILED": _EMPTY,
    "UPDATE_FAILED": "Roll it back (`aws cloudformation rollback-stack`)",
    "UPDATE_ROLLBACK_FAILED": (
        "Let CloudFormation end it (`aws cloudformation continue-update-rollback`)"
    ),
}
_READY: Final = {
    "",  # there is none yet
    "CREATE_COMPLETE",
    "DELETE_COMPLETE",
    "IMPORT_COMPLETE",
    "IMPORT_ROLLBACK_COMPLETE",
    "REVIEW_IN_PROGRESS",  # a first change set exists, and nothing else
    "UPDATE_COMPLETE",
    "UPDATE_ROLLBACK_COMPLETE",
}
TAKEN_BACK: Final = {"ROLLBACK_COMPLETE", "UPDATE_ROLLBACK_COMPLETE"}
"""CloudFormation's last operation failed, and the stack is as it was before."""


def standing(status: str) -> Standing:
    """Whether a stack in this status can be deployed to. One that we do not know is broken."""
    if status in _READY:
        return Standing.READY
    return Standing.BUSY if status.endswith("_IN_PROGRESS") else Standing.BROKEN


def repair(status: str) -> str:
    """How a broken stack is made whole, without a full stop; "" for the others."""
    if standing(status) is not Standing.BROKEN:
        return ""
    return _REPAIRS.get(status, "Look at its events in CloudFormation")


def remedy(status: str) -> str:
    """What to do about a broken stack before the next release; "" for the others."""
    way = repair(status)
    return f"{way}, then release again." if way else ""
