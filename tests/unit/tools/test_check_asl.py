"""The checker of state machines finds what each broken example has wrong."""

import math
import re
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from support.scripts import load

ROOT = Path(__file__).parents[3]


asl_safety = load("asl_safety")
check_asl = load("check_asl")

GOOD = """\
Comment: Asks and answers.
QueryLanguage: JSONata
TimeoutSeconds: 60
StartAt: Ask
States:
  Ask:
    Comment: One question.
    Type: Task
    Resource: arn:aws:states:::lambda:invoke
    Arguments: {FunctionName: "${Controller}-ask", Payload: "{% $states.input %}"}
    Assign: {answer: "{% $states.result.Payload %}"}
    TimeoutSeconds: 10
    Retry:
      - ErrorEquals: [Lambda.ServiceException]
        IntervalSeconds: 1
        BackoffRate: 2
        MaxDelaySeconds: 10
        MaxAttempts: 3
        JitterStrategy: FULL
    Catch:
      - ErrorEquals: [States.ALL]
        Next: Give up
    Next: Is it yes?
  Is it yes?:
    Comment: As it says.
    Type: Choice
    Choices:
      - Condition: "{% $answer = 'yes' %}"
        Next: Each word
    Default: Give up
  Each word:
    Comment: Word by word.
    Type: Map
    Items: "{% $answer %}"
    ItemProcessor:
      StartAt: Say
      States:
        Say:
          Comment: Aloud.
          Type: Pass
          Assign: {said: "{% ($word := $answer; $map([$word], function($w) { $w & '$' })) %}"}
          End: true
    Catch:
      - ErrorEquals: [States.ALL]
        Next: Give up
    Next: Done
  Done:
    Comment: All said.
    Type: Succeed
  Give up:
    Comment: Nothing to say.
    Type: Fail
    Error: Silence
    Cause: "{% $exists($answer) ? $answer : '' %}"
"""

BROKEN = {
    "no-comment": ("    Comment: One question.\n", "", "Ask: has no Comment"),
    "no-timeout": ("    TimeoutSeconds: 10\n", "", "Ask: has no TimeoutSeconds"),
    "no-machine-timeout": ("TimeoutSeconds: 60\n", "", "has no TimeoutSeconds"),
    "jsonpath-language": ("QueryLanguage: JSONata\n", "", "QueryLanguage must be JSONata"),
    "wrong-next": ("Next: Is it yes?", "Next: Is it no?", "Ask: leads to 'Is it no?', which is"),
    "unreachable": ("Next: Is it yes?", "Next: Done", "Is it yes?: cannot be reached"),
    "wrong-start": ("StartAt: Say", "StartAt: Shout", "Each word: leads to 'Shout', which is not"),
    "no-default": ("    Default: Give up\n", "", "Is it yes?: has no Default"),
    "no-next": ("    Next: Done\n", "", "Each word: needs either Next or End"),
    "unknown-type": ("Type: Succeed", "Type: Success", "Done: has the unknown Type 'Success'"),
    "unknown-field": ("Type: Succeed", "Type: Succeed\n    Exit: 0", "a Succeed has no field Exit"),
    "jsonpath-field": (
        "Type: Succeed",
        "Type: Succeed\n    OutputPath: $.x",
        "Done: OutputPath is JSONPath: use Output",
    ),
    "no-catch": (
        "      - ErrorEquals: [States.ALL]\n        Next: Give up\n    Next: Is",
        "      - ErrorEquals: [Late]\n        Next: Give up\n    Next: Is",
        "Ask: has no Catch that ends with States.ALL",
    ),
    "catch-all-first": (
        "        Next: Give up\n    Next: Is it yes?",
        "        Next: Give up\n      - {ErrorEquals: [Late], Next: Give up}\n    Next: Is it yes?",
        "Ask: States.ALL must stand alone, in the last Catch",
    ),
    "unnamed-retry": (
        "[Lambda.ServiceException]",
        "[States.ALL]",
        "Ask: has no Retry that names its errors",
    ),
    "retry-without-delay": ("        MaxDelaySeconds: 10\n", "", "a Retry has no MaxDelaySeconds"),
    "retry-delay-too-short": ("MaxDelaySeconds: 10", "MaxDelaySeconds: 1", "must be more than its"),
    "retry-without-jitter": ("JitterStrategy: FULL", "JitterStrategy: NONE", "must be FULL"),
    "bad-expression": ("$answer = 'yes'", "$answer = ", "Is it yes?: '$answer =' does not compile"),
    "bare-context": ("$answer = 'yes'", "$.answer = 'yes'", "refuses a bare $"),
    "half-expression": (
        'Items: "{% $answer %}"',
        'Items: "of {% $answer %}"',
        "an expression must be the whole value",
    ),
    "unknown-variable": ("$answer = 'yes'", "$anwser = 'yes'", "Is it yes?: reads $anwser, which"),
    "shadowed-variable": ("{said:", "{answer:", "Each word: assigns $answer inside"),
    "doubled-name": (
        "StartAt: Say\n      States:\n        Say:",
        "StartAt: Done\n      States:\n        Done:",
        "Done: has the name of another state",
    ),
    "doubled-key": (
        "TimeoutSeconds: 60\n",
        "TimeoutSeconds: 60\nTimeoutSeconds: 61\n",
        "duplicate",
    ),
    "no-end": (
        "          End: true\n",
        "          Next: Say\n",
        "Each word: has no state that ends",
    ),
    "no-states": (
        GOOD[GOOD.index("States:\n  Ask") :],
        "States: {}\n",
        "has no States",
    ),
}


def test_a_good_machine_has_no_problems() -> None:
    assert check_asl.check_text("good.yaml", GOOD) == []


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_machine_is_told_what_is_wrong(name: str) -> None:
    old, new, expected = BROKEN[name]
    assert old in GOOD
    problems = check_asl.check_text("broken.yaml", GOOD.replace(old, new, 1))
    assert any(expected in str(problem) for problem in problems), problems


@pytest.mark.parametrize("text", ["- a\n- b\n", "a: [", ""])
def test_what_is_no_machine_is_told_so(text: str) -> None:
    (problem,) = check_asl.check_text("odd.yaml", text)
    assert str(problem).startswith("odd.yaml: is not")


def test_prints_file_state_and_problem_and_exits_with_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "broken.asl.yaml"
    file.write_text(GOOD.replace("    Comment: One question.\n", ""))
    assert check_asl.main([str(file)]) == 1
    assert capsys.readouterr().out == f"{file}: Ask: has no Comment\n"


def test_our_own_machines_pass() -> None:
    files = [str(path) for path in (ROOT / "statemachine").glob("*.yaml")]
    assert len(files) == 3
    assert check_asl.main(files) == 0


def test_says_how_to_use_it_without_files() -> None:
    assert check_asl.main([]) == 2


TASK = """\
    Type: Task
    Resource: arn:aws:states:::lambda:invoke
    TimeoutSeconds: 10
"""
SAFE = f"""\
StartAt: Shift traffic
States:
  Shift traffic:
{TASK}    Arguments: {{FunctionName: c-tick}}
    Catch: [{{ErrorEquals: [States.ALL], Next: Restore traffic}}]
    Next: All?
  All?:
    Type: Choice
    Choices: [{{Condition: "{{% $evaluations >= ${{MaxEvaluations}} %}}", Next: Go on elsewhere}}]
    Default: Watch
  Watch:
    Type: Wait
    Seconds: 60
    Next: Shift traffic
  Go on elsewhere:
    Type: Task
    Resource: arn:aws:states:::states:startExecution.sync:2
    Catch: [{{ErrorEquals: [States.ALL], Next: Restore traffic}}]
    Next: Done
  Finish:
{TASK}    Arguments: {{FunctionName: c-finish}}
    Catch: [{{ErrorEquals: [States.ALL], Next: Say stuck}}]
    Next: Done
  Restore traffic:
{TASK}    Arguments: {{FunctionName: c-restore-traffic}}
    Catch: [{{ErrorEquals: [States.ALL], Next: Say stuck}}]
    Next: Failed
  Say stuck:
{TASK}    Arguments: {{FunctionName: c-declare-stuck}}
    Catch: [{{ErrorEquals: [States.ALL], Next: Failed}}]
    Next: Failed
  Done: {{Type: Succeed}}
  Failed: {{Type: Fail}}
"""
UNSAFE = {
    "tick-fails-without-restore": (
        "c-tick}\n    Catch: [{ErrorEquals: [States.ALL], Next: Restore traffic}]",
        "c-tick}\n    Catch: [{ErrorEquals: [States.ALL], Next: Failed}]",
        "can end with split traffic: Shift traffic -> Failed",
    ),
    "ends-in-the-middle": (
        "Default: Watch",
        "Default: Done",
        "can end with split traffic: Shift traffic -> All? -> Done",
    ),
    "nobody-takes-over": (
        "Next: Restore traffic}]\n    Next: Done",
        "Next: Failed}]\n    Next: Done",
        "can end with split traffic: Shift traffic -> All? -> Go on elsewhere -> Failed",
    ),
    "restore-fails-silently": (
        "c-restore-traffic}\n    Catch: [{ErrorEquals: [States.ALL], Next: Say stuck}]",
        "c-restore-traffic}\n    Catch: [{ErrorEquals: [States.ALL], Next: Failed}]",
        "can fail without a word: Restore traffic -> Failed",
    ),
    "finish-goes-back": (
        "c-finish}\n    Catch: [{ErrorEquals: [States.ALL], Next: Say stuck}]",
        "c-finish}\n    Catch: [{ErrorEquals: [States.ALL], Next: Restore traffic}]",
        "takes traffic from a validated candidate when Finish fails",
    ),
}


def parse(text: str) -> dict[str, Any]:
    loaded: dict[str, Any] = YAML(typ="safe", pure=True).load(text)
    return loaded


def test_a_machine_that_always_restores_is_safe() -> None:
    assert asl_safety.unsafe_ends(parse(SAFE)) == []


@pytest.mark.parametrize("name", UNSAFE)
def test_a_way_to_split_traffic_is_found(name: str) -> None:
    old, new, expected = UNSAFE[name]
    assert old in SAFE
    assert expected in asl_safety.unsafe_ends(parse(SAFE.replace(old, new, 1)))


def test_no_execution_of_a_rollout_can_fill_its_history_even_when_every_call_is_repeated() -> None:
    values = substitutions("RolloutStateMachine")
    rollout = parse((ROOT / "statemachine" / "rollout.asl.yaml").read_text("utf-8"))
    worst = asl_safety.most_events(rollout, values, items=20, attempts=2)
    assert worst < asl_safety.EVENTS_IN_A_HISTORY


def test_a_rollout_of_48_hours_with_an_evaluation_each_minute_takes_five_executions() -> None:
    evaluations = substitutions("RolloutStateMachine")["MaxEvaluations"]
    assert math.ceil(48 * 60 / evaluations) == 5
    rollout = parse((ROOT / "statemachine" / "rollout.asl.yaml").read_text("utf-8"))
    go_on = rollout["States"]["Go on in a fresh execution"]
    hours = evaluations / 60
    assert hours * 3600 + go_on["TimeoutSeconds"] < rollout["TimeoutSeconds"]
    assert go_on["TimeoutSeconds"] > 48 * 3600


def test_a_loop_without_a_bound_is_refused() -> None:
    endless = SAFE.replace("$evaluations >= ${MaxEvaluations}", "$tired")
    with pytest.raises(ValueError, match="Nothing bounds the loop of All"):
        asl_safety.most_events(parse(endless), {}, items=1)


def test_events_are_counted_as_step_functions_writes_them() -> None:
    one_round = asl_safety.most_events(parse(SAFE), {"MaxEvaluations": 1}, items=1)
    two_rounds = asl_safety.most_events(parse(SAFE), {"MaxEvaluations": 2}, items=1)
    assert two_rounds - one_round == 9  # task 5, choice 2, wait 2


def substitutions(resource: str) -> dict[str, int]:
    """The numbers that the controller's template puts into the machine."""
    text = (ROOT / "template.yaml").read_text("utf-8")
    block = text[text.index(f"\n  {resource}:") :]
    return {name: int(value) for name, value in re.findall(r"(Max\w+): (\d+)", block)[:3]}
