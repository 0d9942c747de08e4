"""Lambda's limit on its control plane, to see how a caller gets along with it."""

from __future__ import annotations

import re
import time
from collections import deque
from collections.abc import Callable
from typing import Final

from tidegate_embedded.cloud import Cloud
from tidegate_embedded.gateway import Request, Response

PER_SECOND: Final = 15
_CONTROL_PLANE: Final = re.compile(r"^/20\d\d-\d\d-\d\d/(functions|event-source-mappings|layers)\b")
_COUNTED_APART: Final = re.compile(r"/functions/[^/]+(/policy|/invocations)?/?$")  # GetFunction too


class LambdaRateLimit:
    """Plug-in and route: refuses what exceeds the limit in any second, while it is ``enforced``.

    Each account and region has a limit of its own. ``calls`` and ``refused`` count what was seen.
    """

    def __init__(
        self, per_second: int = PER_SECOND, *, now: Callable[[], float] = time.monotonic
    ) -> None:
        self.enforced = False
        self.calls = self.refused = 0
        self._per_second, self._now = per_second, now
        self._recent: dict[tuple[str, str], deque[float]] = {}

    def install(self, cloud: Cloud) -> None:
        """Stand before all other routes that are added later."""
        cloud.add_route(self)

    def matches(self, request: Request) -> bool:
        """Count the request; it is this route's to answer when it is one too many."""
        if not self.enforced or not _counts(request):
            return False
        self.calls += 1
        now = self._now()
        recent = self._recent.setdefault((request.account, request.region), deque())
        while recent and recent[0] <= now - 1:
            recent.popleft()
        if len(recent) < self._per_second:
            recent.append(now)
            return False
        self.refused += 1
        return True

    def handle(self, request: Request) -> Response:  # noqa: ARG002
        """Say what Lambda says."""
        body = {"Type": "User", "Reason": "CallerRateLimitExceeded", "message": "Rate exceeded"}
        refusal = Response.json(body, status=429)
        return Response(
            429, {**refusal.headers, "x-amzn-errortype": "TooManyRequestsException"}, refusal.body
        )


def _counts(request: Request) -> bool:
    if not _CONTROL_PLANE.match(request.path):
        return False
    return not (
        request.path.endswith("/invocations")
        or (request.method == "GET" and _COUNTED_APART.search(request.path))
    )
