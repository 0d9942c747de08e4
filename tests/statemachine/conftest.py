"""The theatre that the scenarios of the state machines are played in."""

import itertools
import types
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from moto.stepfunctions.parser.asl.component.common.retry import retrier_decl
from moto.stepfunctions.parser.asl.component.state.state import CommonStateField
from scripted import Theatre

from tidegate_embedded.cloud import EmbeddedAws

_accounts = itertools.count(500_000_000_000)


@pytest.fixture(scope="session")
def theatre(aws: EmbeddedAws) -> Iterator[Theatre]:
    """State machines whose tasks are scripted, and whose retries do not wait."""
    theatre = Theatre(aws, lambda: str(next(_accounts)))
    with pytest.MonkeyPatch.context() as patch:
        impatient = types.SimpleNamespace(sleep=lambda _seconds: None)
        patch.setattr(retrier_decl, "time", impatient)
        patch.setattr(CommonStateField, "_eval_body", heard(theatre, CommonStateField._eval_body))
        yield theatre
    theatre.close()


def heard(theatre: Theatre, enter: Callable[[Any, Any], None]) -> Callable[[Any, Any], None]:
    """Let the theatre hear of each state that is entered."""

    def eval_body(state: Any, env: Any) -> None:
        execution = env.states.context_object.context_object_data["Execution"]["Id"]
        theatre.entered(execution, state.name)
        enter(state, env)

    return eval_body
