"""The pytest plug-in: fixtures for the tests of applications that Tidegate releases.

``hook_event`` makes the event that a hook is sent, ``run_release`` runs a whole release in memory,
``embedded_aws`` is an AWS in this process, ``lambda_endpoint`` serves the functions of a `sam
build` on it. What a fixture needs is imported when a test asks for it.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from tidegate.testing.endpoint import LambdaEndpoint
    from tidegate.testing.releases import ReleaseRun
    from tidegate_embedded.cloud import EmbeddedAws

_FIRST_ACCOUNT: Final = 700_000_000_000


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
    from tidegate_embedded.cloud import EmbeddedAws

    with EmbeddedAws() as aws:
        yield aws


@pytest.fixture(scope="session")
def lambda_endpoint(embedded_aws: EmbeddedAws) -> Callable[..., LambdaEndpoint]:
    """Serves what `sam build` left: ``lambda_endpoint(".aws-sam/build")``.

    Each call is an account of its own. Parameters of the template may follow as a mapping.
    """
    from tidegate.testing.endpoint import serve

    accounts = itertools.count(_FIRST_ACCOUNT)

    def make(build_dir: Path | str, parameters: Mapping[str, str] | None = None) -> LambdaEndpoint:
        return serve(embedded_aws, str(next(accounts)), Path(build_dir), parameters)

    return make
