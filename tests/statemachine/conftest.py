"""The theatre that the scenarios of the state machines are played in."""

import itertools
import types
from collections.abc import Iterator

import pytest
from moto.stepfunctions.parser.asl.component.common.retry import retrier_decl
from scripted import Theatre

from tidegate.local.cloud import EmbeddedAws

_accounts = itertools.count(500_000_000_000)


@pytest.fixture(scope="session")
def theatre(aws: EmbeddedAws) -> Iterator[Theatre]:
    """State machines whose tasks are scripted, and whose retries do not wait."""
    theatre = Theatre(aws, lambda: str(next(_accounts)))
    with pytest.MonkeyPatch.context() as patch:
        impatient = types.SimpleNamespace(sleep=lambda _seconds: None)
        patch.setattr(retrier_decl, "time", impatient)
        yield theatre
    theatre.close()
