"""Imports point down: the core is pure, and what ships in Lambda ships without what does not."""

import ast
import re
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import tidegate
import tidegate_embedded

PACKAGE = Path(tidegate.__file__).parent
EMBEDDED = Path(tidegate_embedded.__file__).parent

# What each layer may import of the package, besides itself.
BELOW: dict[str, set[str]] = {
    "": set(),
    "core": set(),
    "aws": {"core"},
    "build": {"core"},
    "simulate": {"core"},
    "hooks": set(),
    "handlers": {"core", "aws"},
    "web": {"core", "cli"},
    "cli": {"core", "aws", "build", "simulate", "web"},
    "testing": {"core", "aws", "build", "handlers", "hooks"},
}

# The rooms of the core in the order of a release's way, and what each may import of the others.
ROOMS: dict[str, set[str]] = {
    "errors": set(),
    "text": {"errors"},
    "model": {"errors", "text"},
    "ports": {"errors", "model"},
    "approval": {"errors", "model"},
    "template": {"errors", "text", "model", "ports", "approval"},
    "analysis": {"errors", "text", "model", "ports"},
    "decision": {"errors", "text", "model", "ports", "analysis", "approval"},
    "planning": {"errors", "text", "model", "analysis", "decision"},
    "insight": {"errors", "text", "model", "ports", "analysis", "approval", "decision"},
    "workflow": {
        *("errors", "text", "model", "ports", "approval", "template"),
        *("analysis", "decision", "planning", "insight"),
    },
}

# The rooms of the workflow, what each may import of the others; all share what lies beside them.
TASKS: dict[str, set[str]] = {
    "release": set(),
    "target": {"release"},
    "stage": {"release", "target"},
    "rollout": {"release", "target", "stage"},
    "hooks": {"target"},
    "operator": {"release", "target", "stage", "rollout"},
    "guardian": {"release", "target", "rollout"},
}

MOST_FILES = 12  # in a room of the core, besides its map
MOST_LINES = 425  # of a file of the core

# What the core may use of the world: values and text, no clock, no environment, no input or output.
CORE_LIBRARIES = {
    "__future__",
    "base64",
    "bisect",
    "collections",
    "dataclasses",
    "datetime",
    "difflib",
    "enum",
    "fractions",
    "functools",
    "hashlib",
    "itertools",
    "json",
    "math",
    "operator",
    "pydantic",
    "pydantic_core",
    "re",
    "ruamel",
    "shlex",
    "string",
    "textwrap",
    "types",
    "typing",
    "unicodedata",
}


# What a Lambda package of the controller contains besides the standard library.
IN_LAMBDA = {"aws_lambda_powertools", "boto3", "botocore", "pydantic", "pydantic_core", "ruamel"}


class RunTime(ast.NodeTransformer):
    """Leaves out what only the type checker reads."""

    def visit_If(self, node: ast.If) -> ast.AST | None:
        return None if ast.unparse(node.test) == "TYPE_CHECKING" else self.generic_visit(node)


def modules() -> Iterator[tuple[str, ast.Module]]:
    """Every module of the package by its dotted name without the package's own."""
    for file in sorted(PACKAGE.rglob("*.py")):
        parts = file.relative_to(PACKAGE).with_suffix("").parts
        name = ".".join(part for part in parts if part != "__init__")
        yield name, RunTime().visit(ast.parse(file.read_text()))


def imports(tree: ast.AST) -> Iterator[str]:
    """The dotted names of the modules that are imported anywhere in it, lazily too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"a relative import: {ast.unparse(node)}"
            assert node.module is not None
            yield node.module
            if node.module.partition(".")[0] == "tidegate":
                yield from (f"{node.module}.{alias.name}" for alias in node.names)


TREES = dict(modules())


def layer(module: str) -> str:
    return module.partition(".")[0]


@cache
def own_imports(module: str) -> set[str]:
    """What a module imports of the package, without the package's own name."""
    names = imports(TREES[module])
    return {name.removeprefix("tidegate.") for name in names if name.startswith("tidegate.")}


def nearest_module(name: str) -> str:
    """The module that a name is or lies in: `from tidegate.core import errors` names a module."""
    return name if name in TREES else name.rpartition(".")[0]


@cache
def outside_imports(module: str) -> set[str]:
    """The other packages that a module imports."""
    return {name.partition(".")[0] for name in imports(TREES[module])} - {"tidegate"}


def reachable(module: str) -> set[str]:
    """All modules that are imported when this one is."""
    seen: set[str] = set()
    waiting = [module]
    while waiting:
        found = waiting.pop()
        if found not in seen:
            seen.add(found)
            waiting += map(nearest_module, own_imports(found))
    return seen


@pytest.mark.parametrize("module", TREES)
def test_imports_point_down(module: str) -> None:
    own = layer(module)
    used = {layer(name) for name in own_imports(module)} - {own}
    assert used <= BELOW[own]


CORE = [name for name in TREES if layer(name) == "core"]


def room(module: str) -> str:
    """The room of the core that a module lies in, by its name there."""
    return nearest_module(module).removeprefix("core").lstrip(".").partition(".")[0]


def task(module: str) -> str:
    """The room of the workflow that a module lies in; "" for what all of them share."""
    rest = nearest_module(module).removeprefix("core.workflow").lstrip(".").partition(".")[0]
    return rest if room(module) == "workflow" and rest in TASKS else ""


@pytest.mark.parametrize("module", CORE)
def test_each_room_of_the_core_imports_what_stands_below_it(module: str) -> None:
    used = {name for name in own_imports(module) if layer(name) == "core"}
    assert {room(name) for name in used} - {room(module), ""} <= ROOMS.get(room(module), set())
    allowed = TASKS.get(task(module), set())
    assert {task(name) for name in used} - {task(module), ""} <= allowed


def test_rooms_are_small_enough_to_be_seen_at_once() -> None:
    files = [file for file in (PACKAGE / "core").rglob("*.py") if file.name != "__init__.py"]
    lines = {file: len(file.read_text("utf-8").splitlines()) for file in files}
    assert {str(file): number for file, number in lines.items() if number > MOST_LINES} == {}
    folders = Counter(file.parent for file in files)
    assert {str(folder): number for folder, number in folders.items() if number > MOST_FILES} == {}


@pytest.mark.parametrize("module", CORE)
def test_the_core_knows_no_world(module: str) -> None:
    assert outside_imports(module) <= CORE_LIBRARIES
    calls = (node for node in ast.walk(TREES[module]) if isinstance(node, ast.Call))
    called = {ast.unparse(call.func) for call in calls}
    assert not called & {"open", "print", "input", "datetime.now", "datetime.today", "date.today"}


@pytest.mark.parametrize("module", TREES)
def test_only_what_runs_at_home_uses_the_embedded_aws(module: str) -> None:
    if "tidegate_embedded" in outside_imports(module):
        assert module == "cli.local" or layer(module) == "testing"


@pytest.mark.parametrize("file", sorted(EMBEDDED.rglob("*.py")), ids=lambda file: file.stem)
def test_the_embedded_aws_leaves_the_parser_of_python_alone(file: Path) -> None:
    used = {name.partition(".")[0] for name in imports(ast.parse(file.read_text("utf-8")))}
    assert "ast" not in used  # fails when two threads are in it, up to 3.12


def test_the_distribution_comes_without_the_embedded_aws() -> None:
    project = tomllib.loads((PACKAGE.parents[1] / "pyproject.toml").read_text("utf-8"))
    assert project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"] == [
        "controller/tidegate"
    ]
    assert not list(PACKAGE.rglob("tidegate_embedded"))


@pytest.mark.parametrize("module", [name for name in TREES if layer(name) == "handlers"])
def test_handlers_ship_without_what_runs_elsewhere(module: str) -> None:
    layers = {layer(name) for name in reachable(module)}
    assert not layers & {"build", "cli", "simulate", "testing", "web"}
    outside = {name for found in reachable(module) for name in outside_imports(found)}
    assert outside - sys.stdlib_module_names <= IN_LAMBDA


@pytest.mark.parametrize("module", [name for name in TREES if layer(name) == "hooks"])
def test_hooks_need_nothing_but_what_lambda_brings(module: str) -> None:
    assert outside_imports(module) - sys.stdlib_module_names <= {"boto3", "botocore"}


def test_no_two_test_modules_share_a_name() -> None:
    """Test modules are imported by their bare names."""
    files = [file.name for file in Path(__file__).parents[1].rglob("*.py")]
    assert not {name for name in files if files.count(name) > 1} - {"conftest.py", "__init__.py"}


def test_the_guardian_ships_what_it_imports_and_nothing_else() -> None:
    text = (PACKAGE.parent / "Makefile").read_text("utf-8")
    listed = text[text.index("GUARDIAN :=") : text.index("\n\n", text.index("GUARDIAN :="))]
    folders = re.findall(r"\$\(addprefix (\S+),(.*?)\)", listed)
    shipped = {f"{folder}{name}" for folder, names in folders for name in names.split()}
    shipped |= set(re.findall(r"\bhandlers/\w+|__init__(?= handlers)", listed))
    found = reachable("handlers.guardian")
    packages = {parent for name in found for parent in parents(name)}
    assert {file.replace("/", ".").removesuffix("__init__").rstrip(".") for file in shipped} == (
        found | packages | {""}
    )
    assert {name for module in found for name in outside_imports(module)} - (
        sys.stdlib_module_names
    ) == {"boto3", "botocore", "pydantic"}


def parents(module: str) -> Iterator[str]:
    """The packages that a module lies in."""
    while "." in module:
        module = module.rpartition(".")[0]
        yield module
