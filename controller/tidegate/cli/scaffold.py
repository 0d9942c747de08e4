"""What `tidegate init` writes for an application, from its template."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from tidegate.build.expand import Expansion, Setting, expand_template
from tidegate.build.loops import expand_loops
from tidegate.build.package import PackageStore, package_code
from tidegate.build.sam import SAM_TRANSFORM, macros, settle
from tidegate.build.source import source_root
from tidegate.build.template import Template, of_type, parse_template
from tidegate.cli.insertion import Insertion, TemplateText
from tidegate.core.errors import InputError
from tidegate.core.model.artifact import TemplateDefaults
from tidegate.core.model.manifest import manifest_schema
from tidegate.core.model.strategy import NAMED
from tidegate.core.template.clear_text import is_not_echoed

_FUNCTION: Final = "AWS::Serverless::Function"
_HOOK: Final = "PreTrafficHook"
_HOOK_FOLDER: Final = Path("hooks/pre_traffic")
_TEST_FILE: Final = Path("tests/test_release.py")
_LOCK_FILE: Final = Path("tests/requirements-release.txt")
_SCHEMA_FILE: Final = "tidegate.schema.json"  # editors complete and check the manifest by it
_RUNTIME: Final = "python3.12"
_REFERENCE: Final = "{{resolve:secretsmanager:set-me}}"
_STAGE_PARAMETERS: Final = ("Stage", "StageName", "Environment", "Env")


@dataclass(frozen=True, slots=True)
class Place:
    """A stage and the account that it is in."""

    stage: str
    account: str
    region: str


@dataclass(frozen=True, slots=True)
class Scaffold:
    """Files by their paths in the project, and what becomes of the template."""

    files: Mapping[Path, str]
    template: str
    added: tuple[str, ...]  # to the template, in words


@dataclass(frozen=True, slots=True)
class _Project:
    """The application as its template, with what is added to it, describes it."""

    application: str
    template: Path  # in the project
    sam: Template
    expansion: Expansion
    hook: str  # its logical id; "" when it gets none

    @property
    def hook_folder(self) -> Path:
        """Beside the template, whose paths begin there."""
        return self.template.parent / _HOOK_FOLDER


def scaffold(folder: Path, template: Path, application: str, places: list[Place]) -> Scaffold:
    """What to write into ``folder``, where ``template`` lies. Raises ``InputError``."""
    path = folder / template
    text = path.read_text(encoding="utf-8")
    sam = _read(text, path, places)
    added: list[str] = []
    expansion = _expand(sam, path, places)
    if not expansion.aliases:
        text = _publish(text, sam, path, added)
        sam = _read(text, path, places)
        expansion = _expand(sam, path, places)
    hook = _free_name(sam) if _takes_a_hook(sam, expansion) else ""
    project = _Project(application, template, sam, expansion, hook)
    files = {
        Path("tidegate.yaml"): _manifest(project, places),
        Path(_SCHEMA_FILE): f"{json.dumps(manifest_schema(), indent=2)}\n",
        _TEST_FILE: _tests(project, places),
        _LOCK_FILE: _lock(),
    }
    if hook:
        edited = TemplateText(text, str(path))
        text = edited.with_all([edited.add_resource(_hook_resource(project))])
        added.append(f"the function {hook}")
        files[project.hook_folder / "app.py"] = _hook_code(project)
        files[project.hook_folder / "Makefile"] = _HOOK_MAKEFILE.replace("HOOK", hook)
    return Scaffold(files, text, tuple(added))


def _read(text: str, path: Path, places: list[Place]) -> Template:
    """The template with its loops written out. Raises ``TemplateError``."""
    sam = parse_template(text, str(path))
    settings = [Setting(place.stage, _values(sam, place.stage)) for place in places]
    return expand_loops(sam, str(path), settings)


def _expand(sam: Template, path: Path, places: list[Place]) -> Expansion:
    """The template as a build sees it, in the last stage. Raises ``TemplateError``."""
    last = places[-1].stage
    parameters = _values(sam, last)
    copied = settle(sam, parameters)
    with TemporaryDirectory(prefix="tidegate-") as folder:
        store = PackageStore(Path(folder) / "packages", "packages")
        package_code(copied, path, store, root=source_root(path.parent))
    return expand_template(copied, str(path), [Setting(last, parameters)])


def _publish(text: str, sam: Template, path: Path, added: list[str]) -> str:
    """Give the functions of the template the alias that a release moves."""
    if not of_type(sam, _FUNCTION):
        raise InputError(
            f"{path}: no function has an alias, so there is no traffic to shift.",
            remedy="Add an `AWS::Lambda::Version` and an `AWS::Lambda::Alias` of it.",
        )
    edited = TemplateText(text, str(path))
    insertions: list[Insertion] = []
    for function in edited.of_type(_FUNCTION):
        insertions.append(edited.add_property(function, "AutoPublishAlias: live"))
        added.append(f"AutoPublishAlias: live to {function.name}")
    return edited.with_all(insertions)


def _takes_a_hook(sam: Template, expansion: Expansion) -> bool:
    """SAM makes the hook's role, and a `DeploymentPreference` may name hooks already."""
    said = _said(expansion)
    return not (said.pre_traffic or said.post_traffic) and SAM_TRANSFORM in macros(sam)


def _said(expansion: Expansion) -> TemplateDefaults:
    """What the template says itself of the stage that it was expanded for."""
    (said,) = expansion.defaults.values()
    return said


def _free_name(sam: Template) -> str:
    names = (_HOOK, *(f"{_HOOK}{number}" for number in range(2, 100)))
    return next(name for name in names if name not in sam["Resources"])


def _manifest(project: _Project, places: list[Place]) -> str:
    hooks = f"hooks:\n  pre_traffic: [{project.hook}]\n\n" if project.hook else ""
    stages = "\n".join(_stage(project, place, last=place is places[-1]) for place in places)
    return (
        f"# yaml-language-server: $schema={_SCHEMA_FILE}\n"
        "# How this application is released. `tidegate plan` shows what comes of it.\n"
        f"version: 1\napplication: {project.application}\ntemplate: {project.template.as_posix()}\n"
        f"\n{_MANIFEST_TESTS.replace('LOCK', _LOCK_FILE.as_posix())}\n{hooks}stages:\n{stages}"
    )


def _stage(project: _Project, place: Place, *, last: bool) -> str:
    lines = [
        f"  - name: {place.stage}",
        f'    account: "{place.account}"',
        f"    regions: [{place.region}]",
        *_parameters(project.sam, place.stage),
    ]
    if last:
        lines.append("    approval: {approvers: 1, timeout: 24h}")
        lines += [] if _said(project.expansion).strategy in NAMED else _STRATEGY
    elif _said(project.expansion).strategy:
        lines += _WITHOUT_USERS
    return "\n".join(lines) + "\n"


def _values(sam: Template, stage: str) -> dict[str, str]:
    """Of the parameters that name the stage, and of those that have no default."""
    values = {}
    for name, parameter in (sam.get("Parameters") or {}).items():
        allowed = parameter.get("AllowedValues")
        if name in _STAGE_PARAMETERS and (allowed is None or stage in allowed):
            values[name] = stage
        elif "Default" not in parameter and is_not_echoed(parameter):
            values[name] = _REFERENCE
        elif "Default" not in parameter:
            values[name] = str(allowed[0]) if allowed else "set-me"
    return values


def _parameters(sam: Template, stage: str) -> list[str]:
    lines = [f"      {name}: {json.dumps(value)}" for name, value in _values(sam, stage).items()]
    return ["    parameters:", *lines] if lines else []


def _shifts(project: _Project) -> bool:
    """Whether a release publishes versions: SAM does, a template by hand has one for ever."""
    functions = set(of_type(project.sam, _FUNCTION))
    return any(alias.function in functions for alias in project.expansion.aliases)


def _tests(project: _Project, places: list[Place]) -> str:
    app = f'ROOT / "{project.hook_folder.as_posix()}/app.py"'
    handlers = f'{{"{project.hook}": load_handler({app})}}' if project.hook else "{}"
    imports = (
        ["from tidegate.testing.code import invoke_hook, load_handler"] if project.hook else []
    )
    tests = [_TEST_GOOD_CHANGE]
    if _shifts(project):
        imports.append("from tidegate.testing.traffic import Traffic")
        tests.append(_TEST_BAD_CHANGE.replace("LAST", places[-1].stage))
    if project.hook:
        tests.append(_TEST_HOOK.replace("NAME", project.hook))
    head = _TESTS.replace("TEMPLATE_PATH", f'ROOT / "{project.template.as_posix()}"')
    head = head.replace("HANDLERS", handlers)
    head = head.replace("IMPORTS", "".join(f"\n{line}" for line in imports) + "\n" * bool(imports))
    return "\n\n".join([head, *tests])


def _lock() -> str:
    """What a container needs for a build and for the written tests, as `make lock` resolved it."""
    return resources.files(__package__).joinpath(_LOCK_FILE.name).read_text(encoding="utf-8")


def _hook_resource(project: _Project) -> str:
    """A function beside the others, which may invoke their versions."""
    resources = "\n".join(f"              - {arn}" for arn in _version_arns(project))
    return _RESOURCE.format(
        name=project.hook,
        folder=_HOOK_FOLDER.as_posix(),
        runtime=_runtime(project.sam),
        resources=resources,
    )


def _version_arns(project: _Project) -> list[str]:
    arns = []
    for function in dict.fromkeys(alias.function for alias in project.expansion.aliases):
        arn = f'!Sub "${{{function}.Arn}}:*"'
        condition = project.sam["Resources"][function].get("Condition")
        arns.append(f'!If [{condition}, {arn}, !Ref "AWS::NoValue"]' if condition else arn)
    return arns


def _globals(sam: Template) -> Mapping[str, Any]:
    shared: Mapping[str, Any] = (sam.get("Globals") or {}).get("Function") or {}
    return shared


def _runtime(sam: Template) -> str:
    """The application's own Python, if it has one that the library runs on."""
    functions = [r.get("Properties", {}) for r in sam["Resources"].values()]
    for properties in (_globals(sam), *functions):
        runtime = properties.get("Runtime")
        if isinstance(runtime, str) and (match := re.fullmatch(r"python3\.(\d+)", runtime)):
            return runtime if int(match[1]) >= 11 else _RUNTIME  # noqa: PLR2004
    return _RUNTIME


def _hook_code(project: _Project) -> str:
    """Where `Globals` publish an alias of every function, the hook is among what is released."""
    published = "AutoPublishAlias" in _globals(project.sam)
    loop = _LOOP_OVER_OTHERS if published else _LOOP
    return _HOOK_CODE.replace("LOOP", loop)


_MANIFEST_TESTS: Final = """\
# Run at the same time, each as a build of its own. Add those that you have. What they install is
# pinned by its digest: `uv pip compile --generate-hashes` makes such files.
tests:
  - name: release
    commands:
      - python -c "import pytest, tidegate.testing.releases" || \
python -m pip install --quiet --require-hashes --requirement LOCK
      - command -v tidegate || \
python -m pip install --quiet --require-hashes --no-deps "$TIDEGATE_PACKAGE"
      - python -m pytest tests/test_release.py
"""

_WITHOUT_USERS: Final = [
    "    # No users call it here: a canary would wait for them, and go back. The hooks decide.",
    "    strategy: all-at-once",
]

_STRATEGY: Final = [
    "    strategy:",
    "      steps:",
    "        - {weight: 10%, bake: 10m}",
    "        - {weight: 50%, bake: 10m}",
    "    checks:",
    "      errors: {max_increase: 5%, min_samples: 50, extend: 30m, when_too_few: restore}",
]

_RESOURCE: Final = """\
# Asks the candidates of a release, by version, before they get any traffic.
{name}:
  Type: AWS::Serverless::Function
  Metadata: {{BuildMethod: makefile}}  # adds the library tidegate.hooks
  Properties:
    CodeUri: {folder}/
    Handler: app.handler
    Runtime: {runtime}
    Timeout: 60
    Policies:
      - Version: "2012-10-17"
        Statement:
          - Sid: InvokeVersions
            Effect: Allow
            Action: lambda:InvokeFunction
            Resource:
{resources}
"""

_HOOK_MAKEFILE: Final = """\
# Called by `sam build`. The library for hooks comes from the Tidegate that is installed where the
# build runs: the same version, and no package index is asked.

PYTHON ?= python3

build-HOOK:
	cp app.py "$(ARTIFACTS_DIR)"
	$(PYTHON) -m tidegate.hooks "$(ARTIFACTS_DIR)"
"""

_LOOP: Final = "    for function in event.functions:\n"
_LOOP_OVER_OTHERS: Final = """\
    for function in event.functions:
        if function.function == event.context.function_name:
            continue  # this hook is released, too
"""

_HOOK_CODE: Final = '''\
"""Pre-traffic hook: asks the candidates of a release before they get their first request."""

from __future__ import annotations

from tidegate.hooks import Checks, HookEvent, hook


@hook
def handler(event: HookEvent, checks: Checks) -> None:
    """Check that each candidate is there and may be invoked."""
LOOP        checks.is_invocable(function.candidate_arn)
        # Ask it what your users rely on, with requests that change nothing:
        #     answer = checks.invoke(function.candidate_arn, {"path": "/health"})
        #     answer.has_status(200).matches("ok", at="body").within(seconds=1)
'''

_TESTS: Final = '''\
"""How a release of this application goes: its template, its manifest, its hooks. Needs no AWS."""

from pathlib import Path
IMPORTS
ROOT = Path(__file__).resolve().parents[1]
TEMPLATE = TEMPLATE_PATH
MANIFEST = ROOT / "tidegate.yaml"
HOOKS = HANDLERS
'''

_TEST_GOOD_CHANGE: Final = """\
def test_good_change_goes_live(run_release):
    release = run_release(TEMPLATE, MANIFEST, hooks=HOOKS)
    assert release.succeeded, release.cause
"""

_TEST_BAD_CHANGE: Final = """\
def test_change_that_fails_for_users_is_taken_back(run_release):
    users = Traffic(requests_per_second=20, candidate_errors=0.5)
    release = run_release(TEMPLATE, MANIFEST, hooks=HOOKS, traffic=users)
    assert release.error == "Unhealthy"
    assert "candidate" not in release.serving["LAST"].values()
"""

_TEST_HOOK: Final = """\
def test_hook_stops_a_candidate_that_is_not_there(hook_event):
    result = invoke_hook(HOOKS["NAME"], hook_event("checkout"), functions={})
    assert result["status"] == "Failed"
"""
