"""A broken function: a module that was not packaged."""

from typing import Any

import greetings  # type: ignore[import-not-found]


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    return {"status": 200, "message": greetings.of(event.get("name"))}
