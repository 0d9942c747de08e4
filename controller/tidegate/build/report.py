"""What the build did to a template, resource by resource, and what it could not do."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Report:
    """Grows while a template is taken over; nothing is changed that is not named in it."""

    changed: dict[str, list[str]] = field(default_factory=dict)
    """Why each resource differs from SAM's expansion, by logical id."""
    removed: dict[str, str] = field(default_factory=dict)
    """Why each resource that SAM would make is gone, by logical id."""
    notices: list[str] = field(default_factory=list)
    """What is not taken over: which resource, why, and the remedy."""

    def change(self, logical_id: str, why: str) -> None:
        """This resource differs from what SAM makes of it."""
        reasons = self.changed.setdefault(logical_id, [])
        if why not in reasons:
            reasons.append(why)

    def remove(self, logical_id: str, why: str) -> None:
        """This resource is gone."""
        self.removed[logical_id] = why

    def notice(self, sentence: str) -> None:
        """Something is not taken over."""
        if sentence not in self.notices:
            self.notices.append(sentence)
