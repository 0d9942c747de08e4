"""The checker of state machines finds what each broken example has wrong."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[3]


def load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("check_asl", ROOT / "tools" / "check_asl.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


check_asl = load()

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
