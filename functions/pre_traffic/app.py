"""Pre-traffic hook: the candidate must answer correctly before it gets its first request."""

from __future__ import annotations

from tidegate.hooks import Checks, HookEvent, hook


@hook
def handler(event: HookEvent, checks: Checks) -> None:
    """Ask each candidate for greetings, and for something that it has to refuse."""
    for function in event.functions:
        ada = checks.invoke(function.candidate_arn, {"name": "Ada"})
        ada.has_status(200).matches(r"^Hello\b.*\bAda\b", at="message").within(seconds=5)

        nobody = checks.invoke(function.candidate_arn, {})
        nobody.has_status(200).matches(r"^Hello\b.*\bworld\b", at="message")

        blank = checks.invoke(function.candidate_arn, {"name": " "})
        blank.has_status(400).matches(r"\bname must\b", at="message")
