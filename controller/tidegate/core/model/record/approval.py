"""What people are asked, what they said, and the task tokens that wait for an answer."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar

from pydantic import Field, model_validator

from tidegate.core.model.base import Model
from tidegate.core.model.record.item import Item


class Decision(StrEnum):
    """How an approval stands."""

    PENDING = "pending"
    APPROVED = "approved"
    REJECTED = "rejected"
    EXPIRED = "expired"


class Vote(Model):
    """What one person said."""

    who: str  # IAM identity
    approve: bool
    reason: str = ""
    at: datetime
    source: str = ""  # address or tool it came from
    proof: str = ""  # what they signed before STS: controller, action, and digest of what was shown
    seal: str = ""  # of the controller, over all of it and what it is about: made when it was cast


class Approval(Item):
    """A request to people, bound to what they were shown."""

    kind: ClassVar[str] = "approval"
    place: ClassVar = ("RELEASE#{release_id}", "APPROVAL#{stage}")

    release_id: str
    stage: str
    decision: Decision
    digest: str  # over the artifact's digest and the previews' digests
    approvers: int  # how many distinct people the manifest asks to agree
    authors: tuple[str, ...] = ()  # of all that is not live yet
    author_may_approve: bool = True
    doubts: tuple[str, ...] = ()  # why a voter may be an author all the same: one more must agree
    requested_at: datetime
    deadline: datetime
    votes: tuple[Vote, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _of_one_author(cls, data: Any) -> Any:
        """An older Tidegate knew the author of one commit."""
        if isinstance(data, dict) and "author" in data:
            rest = {key: value for key, value in data.items() if key != "author"}
            return {"authors": (data["author"],), **rest}
        return data

    @property
    def needed(self) -> int:
        """How many distinct people must agree."""
        return self.approvers + bool(self.doubts)


class Token(Item):
    """A task token that waits for an answer. It never leaves the table."""

    kind: ClassVar[str] = "token"
    place: ClassVar = (
        "TOKENS#{release_id}",
        "{purpose}",
    )  # which viewers of the record may not read

    release_id: str
    purpose: str  # "approval#<stage>", "bake#<stage>#<target>", "hook#<id of the run>"
    token: str = Field(repr=False)
