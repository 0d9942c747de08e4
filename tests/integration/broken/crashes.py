"""A broken function: needs a variable that nobody sets."""

import os
from typing import Any


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    return {"status": 200, "message": f"{os.environ['SALUTATION']}, {event.get('name')}!"}
