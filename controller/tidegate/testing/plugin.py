"""The pytest plug-in: fixtures for the tests of applications that Tidegate releases.

``hook_event`` makes the event that a hook is sent, ``run_release`` runs a whole release in memory,
``embedded_aws`` is an AWS in this process, ``lambda_endpoint`` serves the functions of a `sam
build` on it. What a fixture needs is imported when a test asks for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tidegate.local.cloud import EmbeddedAws
    from tidegate.testing.releases import ReleaseRun


@pytest.fixture(scope="session")
def hook_event() -> Callable[..., dict[str, Any]]:
    """Makes events: ``hook_event("my-function", when="post-traffic")``."""
    from tidegate.testing.events import make_hook_event

    return make_hook_event


@pytest.fixture(scope="session")
def run_release() -> Callable[..., ReleaseRun]:
    """Runs a release of a change: ``run_release("template.yaml", "tidegate.yaml")``."""
    from tidegate.testing.releases import run_release

    return run_release


@pytest.fixture(scope="session")
def embedded_aws() -> Iterator[EmbeddedAws]:
    """An AWS on a port of this process: ``embedded_aws.client("lambda", account="111111111111")``.

    One for the session; tests keep apart by their account numbers.
    """
    from tidegate.local.cloud import EmbeddedAws

    with EmbeddedAws() as aws:
        yield aws
