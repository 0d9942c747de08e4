"""Releases of applications in memory, as the tests of these applications run them."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tidegate.core.errors import InputError
from tidegate.hooks import Callback, Checks, HookEvent, hook
from tidegate.testing.code import load_handler
from tidegate.testing.memory import SettableClock
from tidegate.testing.releases import ReleaseRun, run_release
from tidegate.testing.traffic import Traffic

ROOT = Path(__file__).parents[3]
TEMPLATE = ROOT / "functions" / "template.yaml"
MANIFEST = ROOT / "tidegate.yaml"
HELLO = load_handler(ROOT / "functions" / "hello" / "app.py")
PRE = load_handler(ROOT / "functions" / "pre_traffic" / "app.py")
STABLE = {"test": {"HelloFunction": "stable"}, "prod": {"HelloFunction": "stable"}}


def run(**options: Any) -> ReleaseRun:
    return run_release(TEMPLATE, MANIFEST, **options)


def fails_for_zoe(event: Any, context: Any) -> Any:
    return HELLO({"name": event["name"].encode("ascii").decode()}, context)


def says_bye(event: Any, context: Any) -> dict[str, Any]:
    return {"status": 200, "message": "Bye"}


def test_good_change_is_live_in_every_stage() -> None:
    ran = run()
    assert ran.succeeded
    assert ran.weights("prod") == [0.1, 0.5, 1.0]
    assert ran.weights("test") == [1.0]  # all at once
    assert ran.serving == {
        "test": {"HelloFunction": "candidate"},
        "prod": {"HelloFunction": "candidate"},
    }
    assert [(hook.stage, hook.when) for hook in ran.hooks] == [
        ("test", "pre-traffic"),
        ("test", "post-traffic"),
        ("prod", "pre-traffic"),
        ("prod", "post-traffic"),
    ]


def test_time_passes_on_the_clock_of_the_test() -> None:
    clock = SettableClock(datetime(2030, 1, 1, tzinfo=UTC))
    ran = run(clock=clock)
    assert timedelta(minutes=20) < ran.took < timedelta(minutes=30)  # two bakes of ten minutes
    assert clock.now() >= datetime(2030, 1, 1, tzinfo=UTC) + ran.took
    assert ran.evaluations[0].at.year == 2030


def test_errors_of_the_candidate_bring_the_stable_version_back() -> None:
    ran = run(traffic=Traffic(candidate_errors=0.3))
    assert (ran.phase, ran.error) == ("failed", "Unhealthy")
    assert ran.serving["prod"] == STABLE["prod"]
    assert ran.weights("prod") == [0.1]
    assert ran.evaluations[-1].action == "restore"


def test_errors_may_depend_on_the_weight() -> None:
    """As those of a database that bears a tenth of the load and not half of it."""
    ran = run(traffic=Traffic(candidate_errors=lambda weight: 0.3 if weight >= 0.5 else 0.0))
    assert ran.error == "Unhealthy"
    assert ran.weights("prod") == [0.1, 0.5]


def test_errors_that_were_there_before_are_not_the_candidates() -> None:
    assert run(traffic=Traffic(candidate_errors=0.2, stable_errors=0.2)).succeeded


def test_too_few_requests_prove_nothing() -> None:
    ran = run(traffic=Traffic(requests_per_second=0.001))
    assert ran.phase == "failed"
    assert ran.serving["prod"] == STABLE["prod"]


def test_payloads_run_the_functions_themselves() -> None:
    users = Traffic(payloads=[{"name": "Ada"}, {"name": "Zoë"}])
    assert run(functions={"HelloFunction": HELLO}, traffic=users).succeeded
    bad = {"HelloFunction": fails_for_zoe}
    ran = run(functions=bad, stable={"HelloFunction": HELLO}, traffic=users)
    assert "candidate fails 30 of 60" in ran.cause
    assert run(functions=bad, traffic=users).succeeded  # it was no better before


def test_hooks_run_and_ask_the_candidate() -> None:
    hooks = {"PreTrafficHook": PRE}
    good = run(functions={"HelloFunction": HELLO}, hooks=hooks)
    assert good.succeeded
    bad = run(functions={"HelloFunction": says_bye}, stable={"HelloFunction": HELLO}, hooks=hooks)
    assert bad.error == "HookFailed"
    assert bad.serving == STABLE
    assert [(hook.stage, hook.passed) for hook in bad.hooks] == [("test", False)]
    assert 'found "Bye"' in bad.hooks[0].cause


@hook
def compare(event: HookEvent, checks: Checks) -> None:
    function = event.function
    for arn in (function.stable_arn, function.alias_arn):
        checks.invoke(arn, {"name": "Ada"}).came_from("1").matches("Hello, Ada")
    checks.invoke(function.candidate_arn, {}).came_from("2").matches("Bye")
    checks.is_invocable(function.candidate_arn)
    checks.is_invocable(f"{function.candidate_arn}0")


def test_hook_that_asks_for_the_stable_version_or_the_alias_gets_it() -> None:
    ran = run(
        functions={"HelloFunction": says_bye},
        stable={"HelloFunction": HELLO},
        hooks={"PreTrafficHook": compare},
    )
    (outcome,) = ran.hooks
    assert outcome.cause == (
        "1 of 11 checks failed: hello-test-HelloFunction:20 can be invoked (An error occurred "
        "(ResourceNotFoundException) when calling the Invoke operation: Function not found: "
        "arn:aws:lambda:eu-west-1:111111111111:function:hello-test-HelloFunction:20)"
    )


def test_alarm_that_fires_brings_the_stable_version_back(tmp_path: Path) -> None:
    manifest = tmp_path / "tidegate.yaml"
    text = MANIFEST.read_text()
    manifest.write_text(text.replace("    checks:\n", "    checks:\n      alarms: [TooSlow]\n"))
    assert run_release(TEMPLATE, manifest).succeeded
    ran = run_release(TEMPLATE, manifest, traffic=Traffic(alarms_from={"TooSlow": 0.5}))
    assert "TooSlow" in ran.cause
    assert ran.weights("prod") == [0.1, 0.5]


def test_durations_are_compared_where_the_manifest_asks_for_it(tmp_path: Path) -> None:
    manifest = tmp_path / "tidegate.yaml"
    text = MANIFEST.read_text()
    manifest.write_text(text.replace("    checks:\n", "    checks:\n      latency: {}\n"))
    fine = run_release(TEMPLATE, manifest)
    assert fine.succeeded, fine.cause
    slower = run_release(TEMPLATE, manifest, traffic=Traffic(candidate_slower=0.5))
    assert (slower.phase, slower.error) == ("failed", "Unhealthy")
    assert slower.serving["prod"] == STABLE["prod"]


def test_nobody_agrees() -> None:
    ran = run(approve=False)
    assert ran.error == "ApprovalExpired"
    assert ran.serving["prod"] == STABLE["prod"]
    assert ran.serving["test"] == {"HelloFunction": "candidate"}


def test_test_that_fails_ends_it() -> None:
    ran = run(tests=lambda name: name != "security")
    assert "security" in ran.cause
    assert ran.serving == STABLE


def test_first_deployment_has_nothing_to_shift() -> None:
    ran = run(first=True, hooks={"PreTrafficHook": PRE}, functions={"HelloFunction": HELLO})
    assert ran.succeeded
    assert ran.evaluations == ()
    bad = run(first=True, hooks={"PreTrafficHook": PRE}, functions={"HelloFunction": says_bye})
    assert bad.phase == "failed"
    assert bad.serving["test"] == {"HelloFunction": "nothing"}


MANIFEST_OF_TEMPLATES = """
version: 1
application: shop
template: template.yaml
stages:
  - name: prod
    account: "333333333333"
    waves: [[eu-west-1], [us-east-1]]
    strategy: {canary: {weight: 10%, bake: 2m}}
    approval: {approvers: 2, author_may_approve: false}
"""


@pytest.fixture
def project(tmp_path: Path) -> Callable[[str], Path]:
    """The folder of an application with one of the templates that the tests of builds use."""

    def make(name: str) -> Path:
        shutil.copy(ROOT / "tests" / "templates" / name, tmp_path / "template.yaml")
        for folder in ("code", "reports", "worker", "greeter", "shared"):
            (tmp_path / folder).mkdir()
        for file in ("zipped.zip", "single.py", "flow.asl.yaml"):
            (tmp_path / file).touch()
        (tmp_path / "tidegate.yaml").write_text(MANIFEST_OF_TEMPLATES)
        return tmp_path

    return make


@pytest.mark.parametrize("name", ["plain", "codedeploy", "layers", "handwritten"])
def test_every_kind_of_template_is_released(project: Callable[[str], Path], name: str) -> None:
    folder = project(f"{name}.yaml")
    ran = run_release(folder / "template.yaml", folder / "tidegate.yaml")
    assert ran.succeeded, ran.cause
    assert ran.weights("prod") == [0.1, 1.0]


def test_regions_that_differ_at_the_end_are_mixed(project: Callable[[str], Path]) -> None:
    folder = project("plain.yaml")
    ran = run_release(
        folder / "template.yaml",
        folder / "tidegate.yaml",
        hooks={},
        traffic=Traffic(requests_per_second=10),
    )
    assert {one.target for one in ran.evaluations} == {
        "333333333333/eu-west-1",
        "333333333333/us-east-1",
    }
    assert ran.serving == {"prod": {"Greeter": "candidate"}}


def test_refuses_handlers_of_functions_that_there_are_not() -> None:
    with pytest.raises(InputError, match="has no function HelloFunktion"):
        run(functions={"HelloFunktion": HELLO})
    with pytest.raises(InputError, match="has no function Pre"):
        run(hooks={"Pre": PRE})


def test_refuses_what_no_release_could_use(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no such template"):
        run_release(tmp_path / "none.yaml", MANIFEST)
    with pytest.raises(InputError, match="cannot be read"):
        run_release(TEMPLATE, tmp_path / "none.yaml")
    manifest = tmp_path / "tidegate.yaml"
    manifest.write_text(MANIFEST.read_text().replace("Stage: test", "Stagge: test"))
    with pytest.raises(InputError, match=r"cannot be deployed: .*Stagge"):
        run_release(TEMPLATE, manifest)
    with pytest.raises(InputError, match="no Python file"):
        load_handler(tmp_path / "none.py")


PATIENT = """
hooks:
  pre_traffic: [{function: PreTrafficHook, timeout: 2h, heartbeat: 5m}]
"""


@pytest.fixture
def patient(tmp_path: Path) -> Path:
    """The example's manifest, with a hook that may answer later."""
    text = MANIFEST.read_text()
    start, end = text.index("\nhooks:"), text.index("\nstages:")
    manifest = tmp_path / "tidegate.yaml"
    manifest.write_text(text[:start] + PATIENT + text[end:])
    return manifest


def works(pauses: Sequence[float], *, ends: str = "") -> Callable[[Callback], Iterator[float]]:
    def worker(callback: Callback) -> Iterator[float]:
        for pause in pauses:
            yield pause
            callback.heartbeat()
        if ends == "yes":
            callback.succeed()
        elif ends:
            callback.fail(ends)

    return worker


@pytest.mark.parametrize(
    ("worker", "cause"),
    [
        (works([200] * 20, ends="yes"), ""),
        (works([200] * 20, ends="p99 doubled"), "failed: p99 doubled"),
        (works([200, 400], ends="yes"), "nothing was heard of it for 5m"),
        (works([200] * 100, ends="yes"), "did not answer within its timeout"),
        (works([200]), "nothing was heard of it for 5m"),
    ],
)
def test_hook_that_answers_later_has_its_time_on_the_clock(
    patient: Path, worker: Callable[[Callback], Iterator[float]], cause: str
) -> None:
    ran = run_release(TEMPLATE, patient, workers={"PreTrafficHook": worker})
    assert ran.succeeded == (not cause)
    assert cause in ran.cause


def test_worker_of_a_hook_that_does_not_ask_for_it_is_not_needed(patient: Path) -> None:
    idle = {"PreTrafficHook": works([], ends="no")}
    hooks = {"PreTrafficHook": lambda event, context: {"status": "Succeeded"}}
    assert run_release(TEMPLATE, patient, hooks=hooks, workers=idle).succeeded
    later = {"PreTrafficHook": lambda event, context: {"status": "InProgress"}}
    silent = run_release(TEMPLATE, patient, hooks=later, workers={})
    assert "nothing was heard of it for 5m" in silent.cause
