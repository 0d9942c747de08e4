"""A broken function: answers, but not what its callers expect."""

from typing import Any


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    return {"status": 200, "message": f"Bye, {event.get('name')}!"}
