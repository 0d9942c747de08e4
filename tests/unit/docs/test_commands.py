"""Every command that a person is shown can be pasted: the real parser takes it."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from tidegate.cli.app import app
from tidegate.core.text.commands import NEED_A_REASON, command
from tidegate.web.answers import _NEED_A_REASON as NEED_A_REASON_ON_THE_PAGE

ROOT = Path(__file__).parents[3]
CONTROLLER = ROOT / "controller" / "tidegate"
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
TEXTS = sorted(
    [
        *ROOT.glob("*.y*ml"),
        *(ROOT / "pipeline").glob("*.yaml"),
        *(ROOT / "statemachine").glob("*.yaml"),
        *(ROOT / "functions").rglob("*.yaml"),
        *(CONTROLLER / "web").rglob("*.html"),
        *(CONTROLLER / "web").rglob("*.js"),
    ]
)
MODULES = sorted([*CONTROLLER.rglob("*.py"), *(ROOT / "functions").rglob("*.py")])

SAMPLE = "hello-9"  # what stands in a message where a value comes
HOLE = re.compile(r"\{\w+\}|<\w+>")  # of str.format, and of an EventBridge input template
SAMPLES = {"N": "10", "VERB": "list"}  # for what may not be just any word
PLACEHOLDER = re.compile(r"[A-Z]{4,}")  # what help and documentation write for a value
TIDEGATE = re.compile(r"(?<![\w.<-])tidegate\s+(?=[\w-])")
FENCE = re.compile(r"^( *)```.*?^\1```", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Shown:
    """A command as it is shown: the words after ``tidegate``, and where it stands."""

    words: tuple[str, ...]
    place: str

    def __str__(self) -> str:
        return f"{self.place}: tidegate {' '.join(self.words)}"


# --- the parser


def commands_of(group: Any) -> dict[str, Any]:
    return getattr(group, "commands", {})


VERBS = frozenset(commands_of(get_command(app)))
# Parsing these would change the shell of whoever runs the tests.
WITHOUT_A_VERB = frozenset(
    name
    for option in get_command(app).params
    for name in option.opts
    if name.endswith("-completion")
)


def refused(words: tuple[str, ...]) -> str:
    """Why the command line does not take these words; "" when it does. Nothing is run."""
    here, name, rest, parent = (
        get_command(app),
        "tidegate",
        [SAMPLES.get(word, word) for word in words],
        None,
    )
    if set(words) & WITHOUT_A_VERB:
        return "" if len(words) == 1 else "stands alone"
    try:
        while commands_of(here):
            context = here.make_context(name, rest, parent=parent)
            rest = [*context._protected_args, *context.args]
            if not rest:
                return "names no verb"
            name, here, rest = here.resolve_command(context, rest)  # type: ignore[attr-defined]
            parent = context
        here.make_context(name, rest, parent=parent)
    except Exception as error:
        if type(error).__name__ == "Exit":  # --help and the like
            return ""
        return f"{type(error).__name__}: {getattr(error, 'message', error)}"
    return ""


# --- where commands stand


def first_command(text: str) -> tuple[str, ...]:
    """The words of the simple command that the text begins with, as a shell splits them.

    It ends at an operator of the shell, or with the sentence.
    """
    words: list[str] = []
    lexer = shlex.shlex(text, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    for word in lexer:
        if set(word) <= set("();<>|&"):
            break
        ends = word.endswith((".", ",")) and set(word) != {"."}
        words.append(word[:-1] if ends else word)
        if ends:
            break
    return tuple(words)


def commands_in(text: str, place: str) -> Iterator[Shown]:
    """The commands in prose: in code spans, and in lines; ``tidegate`` and any other word is none.

    What stands in a code span is a command, whether there is such a verb or not.
    """
    for match in TIDEGATE.finditer(text):
        span = text.count("`", 0, match.start()) % 2 == 1
        rest = text[match.end() :].partition("`")[0] if span else text[match.end() :]
        rest = " ".join(rest.split()) if span else rest.partition("\n")[0].partition("`")[0]
        rest = rest.removesuffix("\\")
        if span or re.split(r"[^\w-]", rest, maxsplit=1)[0] in VERBS:
            yield Shown(first_command(rest), place)


def in_page(page: Path) -> Iterator[Shown]:
    """Those of a page: in its blocks of code line by line, and in its prose."""
    text, place = page.read_text(encoding="utf-8"), str(page.relative_to(ROOT))
    for block in FENCE.finditer(text):
        for line in block[0].replace("\\\n", " ").splitlines():
            yield from commands_in(line.replace("`", ""), place)
    for paragraph in FENCE.sub("\n\n", text).split("\n\n"):
        yield from commands_in(paragraph, place)


def in_text(path: Path) -> Iterator[Shown]:
    text = re.sub(r"</?code>", "`", path.read_text(encoding="utf-8"))
    place = str(path.relative_to(ROOT))
    for line in HOLE.sub(SAMPLE, text).splitlines():
        yield from commands_in(line, place)


@dataclass(frozen=True)
class Module:
    """A module's strings, with a sample in place of each value."""

    path: Path

    @property
    def tree(self) -> ast.Module:
        return ast.parse(self.path.read_text(encoding="utf-8"))

    def helps(self) -> Iterator[Shown]:
        """Docstrings, and what options say of themselves: they may have placeholders."""
        tree = self.tree
        for node in self._helps(tree):
            yield from commands_in(_text(node), self._place(node))

    def messages(self) -> Iterator[Shown]:
        """All other strings, and what is written by ``commands.command``."""
        tree = self.tree
        inner = {id(part) for node in self._helps(tree) for part in ast.walk(node)}
        for node in ast.walk(tree):
            if id(node) in inner:
                continue
            if isinstance(node, ast.JoinedStr):
                inner.update(id(part) for part in node.values)  # a part alone is cut off
                yield from commands_in(_text(node), self._place(node))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield from commands_in(_text(node), self._place(node))
            elif isinstance(node, ast.Call) and _called(node) == "command":
                yield self._rendered(node)

    def _rendered(self, call: ast.Call) -> Shown:
        verb, *arguments = [_value(argument) for argument in call.args]
        options = {str(option.arg): _value(option.value) for option in call.keywords}
        text = command(str(verb), *map(str, arguments), **options)
        return Shown(tuple(shlex.split(text)[1:]), self._place(call))

    def _helps(self, tree: ast.Module) -> Iterator[ast.expr]:
        for node in ast.walk(tree):
            if (
                isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
                and ast.get_docstring(node) is not None
                and isinstance(node.body[0], ast.Expr)
            ):
                yield node.body[0].value
            if isinstance(node, ast.keyword) and node.arg == "help":
                yield node.value

    def _place(self, node: ast.expr) -> str:
        return f"{self.path.relative_to(ROOT)}:{node.lineno}"


def _called(call: ast.Call) -> str:
    return call.func.id if isinstance(call.func, ast.Name) else ""


def _value(node: ast.expr) -> Any:
    return node.value if isinstance(node, ast.Constant) else SAMPLE


def _text(node: ast.expr) -> str:
    if isinstance(node, ast.JoinedStr):
        return "".join(_text(part) for part in node.values)
    if isinstance(node, ast.Constant):
        return HOLE.sub(SAMPLE, str(node.value))
    return SAMPLE


def all_help(group: Any, *path: str) -> Iterator[tuple[str, ...]]:
    yield path
    for name, verb in commands_of(group).items():
        yield from all_help(verb, *path, name)


# --- the tests


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where `sam build` has run, and where folders are that examples name."""
    for name in (".aws-sam/build", "services/shop", "FOLDER"):
        (tmp_path / name).mkdir(parents=True)
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_in_the_documentation_can_be_pasted(page: Path) -> None:
    assert [f"{one}: {why}" for one in in_page(page) if (why := refused(one.words))] == []


def test_commands_in_templates_and_on_the_page_can_be_pasted() -> None:
    shown = [one for path in TEXTS for one in in_text(path)]
    assert {one.words[0] for one in shown} >= {"build", "unlock", "doctor", "list"}
    assert [f"{one}: {why}" for one in shown if (why := refused(one.words))] == []


def test_commands_in_messages_can_be_pasted() -> None:
    shown = [one for path in MODULES for one in Module(path).messages()]
    assert {one.words[0] for one in shown} >= {"abort", "rollback", "unlock", "approve", "get"}
    assert [f"{one}: {why}" for one in shown if (why := refused(one.words))] == []


def test_a_message_has_values_where_help_has_placeholders() -> None:
    shown = [one for path in MODULES for one in Module(path).messages()]
    unknown = {"BUCKET"}  # only the reader knows it
    with_any = [one for one in shown if any(map(PLACEHOLDER.fullmatch, {*one.words} - unknown))]
    assert [str(one) for one in with_any] == []


def test_commands_in_docstrings_and_option_texts_can_be_pasted() -> None:
    shown = [one for path in MODULES for one in Module(path).helps()]
    assert {one.words[0] for one in shown} >= VERBS - {"version", "validate", "unlock"} - {"local"}
    assert [f"{one}: {why}" for one in shown if (why := refused(one.words))] == []


@pytest.mark.parametrize("path", list(all_help(get_command(app))), ids=" ".join)
def test_commands_in_help_can_be_pasted(path: tuple[str, ...]) -> None:
    result = CliRunner().invoke(app, [*path, "--help"])
    assert result.exit_code == 0
    shown = commands_in(result.stdout.replace("Usage: tidegate", ""), "--help")
    assert [f"{one}: {why}" for one in shown if (why := refused(one.words))] == []


def test_placeholders_are_those_of_the_command_line() -> None:
    known = {"TEXT", "BUCKET", "VERB"}
    for path in all_help(get_command(app)):
        known |= set(re.findall(r"[A-Z]+", CliRunner().invoke(app, [*path, "--help"]).stdout))
    shown = [one for page in PAGES for one in in_page(page)]
    shown += [one for path in MODULES for one in Module(path).helps()]
    used = {word for one in shown for word in one.words if PLACEHOLDER.fullmatch(word)}
    assert used <= known


def test_the_reference_writes_each_verb_as_the_parser_takes_it() -> None:
    page = (ROOT / "docs/reference/cli.md").read_text(encoding="utf-8")
    table = page.partition("## Options")[0]
    cells = re.findall(r"^\| (`.+?`) \|", table, re.MULTILINE)
    verbs = [verb for cell in cells for verb in re.findall("`(.+?)`", cell)]
    shown = [shlex.split(re.sub(r"[][]", "", verb)) for verb in verbs]
    assert len(shown) > len(VERBS)
    assert [f"{words}: {why}" for words in shown if (why := refused(tuple(words)))] == []


def test_the_verbs_that_need_a_reason_are_those_of_the_parser() -> None:
    verbs = commands_of(get_command(app))
    demanding = {
        name
        for name, verb in verbs.items()
        if any(option.required and option.name == "reason" for option in verb.params)
    }
    assert demanding == NEED_A_REASON
    assert NEED_A_REASON_ON_THE_PAGE < NEED_A_REASON


def test_a_command_is_quoted_for_a_shell() -> None:
    assert command("abort", "hello-9") == "tidegate abort hello-9 --reason 'why'"
    assert command("get", "hello-9", watch=True) == "tidegate get hello-9 --watch"
    assert command("approve", "hello-9", stage="prod") == "tidegate approve hello-9 --stage prod"
    assert shlex.split(command("release", "my folder/release.json"))[2] == "my folder/release.json"


def test_make_targets_in_the_documentation_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z][\w-]*):", makefile, re.MULTILINE))
    named = re.compile(r"(?:`|^\s*|run )make ([a-z][\w-]*)", re.MULTILINE)
    used: set[str] = set()
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        blocks = "\n".join(block[0] for block in FENCE.finditer(text))
        used |= set(named.findall(blocks)) | set(re.findall(r"`make ([a-z][\w-]*)", text))
    for path in MODULES:
        used |= set(re.findall(r"`make ([a-z][\w-]*)", path.read_text(encoding="utf-8")))
    assert {"demo", "test", "install", "faults"} <= used
    assert used - targets == set()
