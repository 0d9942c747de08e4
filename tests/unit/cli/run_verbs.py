"""Run verbs one after the other in a process of their own, as a terminal of some encoding has it.

`python run_verbs.py '<JSON: lists of arguments>'`: each with a shop in memory behind it.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any, NoReturn

import shop
from doubles import FakeBackend, Time, fill

from tidegate.cli.app import app
from tidegate.cli.backend import Context
from tidegate.core.model.record import (
    Application,
    Item,
    Pruning,
    ReleasePhase,
    RolloutPhase,
    StagePhase,
    TrafficRollback,
)
from tidegate.core.workflow.operator.doctor import Finding

UNUSUAL = "Größe \u2192 日本 \U0001f680"


def record() -> list[Item]:
    """Releases with words in them that not every encoding has, in all their states."""
    live = {"author": f"Zoë <z@example.org> {UNUSUAL}", "subject": UNUSUAL}
    unusual = shop.artifact().model_copy(update=live)
    back = TrafficRollback(of="shop-6", to="shop-4")
    return [
        Application(name="shop", last_number=9),
        shop.release(number=7).model_copy(update={"artifact": unusual}),
        shop.release(ReleasePhase.SUCCEEDED, number=5, ended=5).model_copy(
            update={"artifact": unusual, "traffic_rollback": back}
        ),
        shop.release(ReleasePhase.FAILED, number=6, error="HookFailed", cause=UNUSUAL, ended=7),
        *shop.asking(),
        shop.hook(cause=UNUSUAL),
        shop.rollout("test", RolloutPhase.SUCCEEDED, verdict=shop.UNHEALTHY, ended=9),
        shop.stage("test", StagePhase.SUCCEEDED, ended=2),
    ]


def context() -> Context:
    backend = FakeBackend(
        prunings=[
            Pruning(
                application="shop",
                at=shop.NOON,
                stage="prod",
                target=shop.PROD,
                dry_run=True,
                error=UNUSUAL,
            )
        ],
        findings=[
            Finding(place=UNUSUAL, what="role", well=well, says=UNUSUAL) for well in (False, True)
        ],
    )
    fill(backend.ledger, record())
    over = shop.release(ReleasePhase.SUCCEEDED, ended=12)
    time = Time(backend.ledger, shop.at(9.3), changes=iter([shop.shifting(), [over]]))

    def connect() -> Any:
        return backend

    def session() -> NoReturn:
        raise AssertionError("no AWS session in these tests")

    return Context(connect, session, now=time.now, pause=time.pause)


def main() -> None:
    for verb in json.loads(sys.argv[1]):
        sys.stdout.flush()
        sys.stdout.buffer.write(f"\n== {' '.join(verb)}\n".encode("ascii", "backslashreplace"))
        try:
            arguments = [os.fsdecode(one.encode()) for one in verb]  # as a shell would give them
            app(arguments, obj=context(), prog_name="tidegate")
        except SystemExit as ended:
            sys.stdout.flush()
            sys.stdout.buffer.write(f"-- {ended.code}\n".encode())


if __name__ == "__main__":
    main()
