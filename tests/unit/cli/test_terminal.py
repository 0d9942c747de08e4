"""What is written to terminals of any encoding, and that nothing goes past the one place for it."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from rich.text import Text

import tidegate.cli
from tidegate.cli.app import app
from tidegate.cli.console import complain
from tidegate.cli.screen import Screen
from tidegate.cli.terminal import PLAIN_SIGNS, encodable, printable

ROOT = Path(__file__).parents[3]
DRIVER = Path(__file__).with_name("run_verbs.py")
CLI = Path(tidegate.cli.__file__).parent
WRITERS = {"terminal.py", "screen.py"}

ONLINE = [
    ["list"],
    ["list", "--output", "json"],
    ["get", "shop-7"],
    ["get", "shop-7", "--watch"],
    ["get", "shop-8"],
    ["history", "shop"],
    ["explain", "shop-7"],
    ["approve", "shop-7", "--stage", "prod"],
    ["abort", "shop-7", "--reason", "all"],
    ["prune", "shop", "--dry-run"],
    ["doctor", "shop"],
    ["--help"],
    ["get", "--help"],
    ["nothing"],
    ["local", "--help"],
    ["local", "env"],
    ["local", "down"],
]
OFFLINE = [
    ["validate"],
    ["plan"],
    ["plan", "--rps", "0.01"],
    ["migrate", "functions/template.yaml"],
    ["simulate", "--rps", "5", "--runs", "10", "--processes", "1", "--presets"],
    ["release", "release.json"],
    ["init", "größe"],
]


def run(
    verbs: list[list[str]], encoding: str, folder: Path, **more: str
) -> subprocess.CompletedProcess[bytes]:
    """The verbs on a terminal of this encoding, in a locale that says nothing of UTF-8."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    settings = {"PYTHONIOENCODING": encoding, "PYTHONUTF8": "0", "LC_ALL": "C", "COLUMNS": "120"}
    return subprocess.run(
        [sys.executable, str(DRIVER), json.dumps(verbs)],
        cwd=folder,
        env={**kept, **settings, **more},
        capture_output=True,
        check=True,
    )


@pytest.fixture
def example(tmp_path: Path) -> Path:
    """The example application, and one that is begun, with words of other languages in both."""
    for name in ("tidegate.yaml", "buildspec.yml"):
        shutil.copy(ROOT / name, tmp_path)
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "functions", tmp_path / "functions", ignore=ignored)
    template = (tmp_path / "functions" / "template.yaml").read_text("utf-8")
    described = template.replace("\nResources:", "\n# Grüße → 日本\nResources:", 1)
    (tmp_path / "functions" / "template.yaml").write_text(described, "utf-8")
    manifest = (tmp_path / "tidegate.yaml").read_text("utf-8")
    (tmp_path / "tidegate.yaml").write_text(f"# Grüße ✔\n{manifest}", "utf-8")
    begun = tmp_path / "größe"
    begun.mkdir()
    (begun / "template.yaml").write_text(PLAIN, "utf-8")
    (begun / "code").mkdir()
    (begun / "code" / "app.py").write_text("def handler(event, context): pass\n")
    (tmp_path / "release.json").write_text('{"größe": "✔"}', "utf-8")
    return tmp_path


PLAIN = """\
Transform: AWS::Serverless-2016-10-31
Description: Grüße → 日本
Resources:
  Cart:
    Type: AWS::Serverless::Function
    Properties: {CodeUri: code, Handler: app.handler, Runtime: python3.12}
"""
PLAIN = PLAIN.replace(
    "    Properties: {CodeUri: code, Handler: app.handler, Runtime: python3.12}",
    "    Properties:\n      CodeUri: code\n      Handler: app.handler\n      Runtime: python3.12",
)


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "latin-1"])
def test_every_verb_speaks_in_plain_signs_where_there_are_no_others(
    encoding: str, example: Path
) -> None:
    done = run([*ONLINE, *OFFLINE], encoding, example)
    said, complained = done.stdout.decode(encoding), done.stderr.decode(encoding)
    assert "Traceback" not in complained
    assert "unexpected" not in complained
    assert "?" not in said
    drawn = re.sub(r'": ".*"', "", said)  # without JSON, where every sign is escaped
    assert not {sign for sign in PLAIN_SIGNS if f"\\u{ord(sign):04x}" in drawn + complained}
    codes = dict(re.findall(r"== (.*)\n(?:(?!==).*\n)*?-- (\d+)", said))
    assert codes["list"] == codes["history shop"] == codes["validate"] == codes["plan"] == "0"
    assert codes["get shop-8"] == codes["release release.json"] == codes["nothing"] == "2"
    assert codes[r"init gr\xf6\xdfe"] == "0"
    assert codes["migrate functions/template.yaml"] == "0"


def test_a_plain_drawing_keeps_its_columns(example: Path) -> None:
    said = run([["get", "shop-7"]], "ascii", example).stdout.decode("ascii")
    tree = [line for line in said.splitlines() if line.startswith(("NAME", "prod", "|-", "`-"))]
    column = tree[0].index("STATUS")
    assert len(tree) > 3
    assert {line[column - 1] for line in tree} == {" "}
    assert all(line[column] in "S.*@+x!-" for line in tree)


def test_a_live_view_and_its_colours_work_in_plain_signs(example: Path) -> None:
    settings = {"FORCE_COLOR": "1", "TERM": "xterm"}
    done = run([["get", "shop-7", "--watch"]], "ascii", example, **settings)
    said = done.stdout.decode("ascii")
    assert "\x1b[1A\x1b[2K" in said  # it is redrawn in place
    assert "\x1b[32m+ succeeded\x1b[0m" in said


def test_an_error_keeps_its_colour(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    complain("\x1b[2Jbad", "worse")
    assert capsys.readouterr().err == ("\x1b[31m\x1b[1merror: \x1b[0m\\x1b[2Jbad\nworse\n")


def test_the_command_itself_needs_no_more(example: Path) -> None:
    environment = {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0", "LC_ALL": "C"}
    done = subprocess.run(
        [sys.executable, "-m", "tidegate.cli", "plan"],
        cwd=example,
        env={**os.environ, **environment},
        capture_output=True,
        check=True,
    )
    assert b"####" in done.stdout


def test_every_sign_of_the_command_line_has_a_plain_one() -> None:
    sources = [file.read_text("utf-8") for file in CLI.parent.rglob("*.py")]
    strings = (
        node.value
        for source in sources
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    )
    signs = {sign for text in strings for sign in text if not sign.isascii() and not sign.isalpha()}
    assert signs <= {sign for sign in PLAIN_SIGNS if not sign.isalpha()} | CONTROLS
    assert "".join(PLAIN_SIGNS.values()).isascii()


CONTROLS = {chr(code) for code in (*range(0x80, 0xA0), 0x2029, 0x202E, 0x2069)} | set(
    "\u061c\u200e\u200f\u2028\u2066"
)


@pytest.mark.parametrize("module", sorted(CLI.glob("*.py")), ids=lambda path: path.name)
def test_only_one_place_writes(module: Path) -> None:
    tree = ast.parse(module.read_text("utf-8"))
    used = {ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    called = {ast.unparse(n.func) for n in ast.walk(tree) if isinstance(n, ast.Call)}
    writes = {"typer.echo", "typer.secho", "typer.prompt", "typer.confirm"}
    streams = {"sys.stdout", "sys.stderr", "sys.stdout.write", "sys.stderr.write"}
    past = (used & {*writes, *streams}) | (called & {"print", "Console", "traceback.print_exc"})
    assert module.name in WRITERS or not past


def test_letters_that_an_encoding_has_stay() -> None:
    assert encodable("Zoë → ✔", "latin-1") == "Zoë -> +"
    assert encodable("Zoë → ✔", "utf-8") == "Zoë → ✔"
    assert encodable("Zoë", "ascii") == r"Zo\xeb"


def test_what_is_no_character_is_shown() -> None:
    assert encodable("folder \udcc3", "utf-8") == r"folder \udcc3"


def test_control_characters_are_shown() -> None:
    assert printable("a\nb\x1b[31m\x9b\u202etxt\x7f\tc", "utf-8") == (
        "a\\nb\\x1b[31m\\x9b\\u202etxt\\x7f\tc"
    )


def test_styles_of_ours_stay_on_what_is_cleaned() -> None:
    screen = Screen()
    text = Text("good ", style="green")
    text.append("\x1b[2Jbad", style="red")
    pieces = [(piece.text, str(piece.style)) for piece in screen.render(text) if piece.text.strip()]
    assert [said for said, _ in pieces] == ["good ", r"\x1b[2Jbad"]
    assert "green" in pieces[0][1]
    assert "red" in pieces[1][1]


def test_brackets_are_no_style_and_colons_no_picture(capsys: pytest.CaptureFixture[str]) -> None:
    Screen().print("[red]stack[/red] :smile:")
    assert capsys.readouterr().out == "[red]stack[/red] :smile:\n"


def test_the_help_is_plain_text() -> None:
    assert app.info.epilog
    assert str(app.info.epilog).isascii()
