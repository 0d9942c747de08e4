"""Rewrites hooks that were written for CodeDeploy: their call becomes the answer that they return.

Only where that is certain: the call is a statement of the handler itself, and says its status.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

PYTHON: Final = (".py",)
JAVASCRIPT: Final = (".js", ".mjs", ".cjs", ".ts")

_PYTHON_CALL: Final = "put_lifecycle_event_hook_execution_status"
_COMMAND: Final = "PutLifecycleEventHookExecutionStatusCommand"
_METHOD: Final = "putLifecycleEventHookExecutionStatus"
_NAME: Final = r"[A-Za-z_$][\w$]*"
_JAVASCRIPT_CALL: Final = re.compile(rf"\b(?:{_METHOD}|new\s+(?:{_NAME}\.)?{_COMMAND})\b")
_NOT_CODE: Final = re.compile(
    r"//[^\n]*|/\*.*?\*/"
    r"|'(?:\\.|[^'\\\n])*'|\"(?:\\.|[^\"\\\n])*\"|`(?:\\.|[^`\\])*`",
    re.DOTALL,
)
_OPENS, _CLOSES = "([{", ")]}"


def rewrite(source: str, suffix: str, handler: str) -> str | None:
    """The hook's code with ``handler`` returning its answer; None where a person must look."""
    if suffix in PYTHON:
        return _rewrite_python(source, handler)
    return _rewrite_javascript(source, handler) if suffix in JAVASCRIPT else None


# ------------------------------------------------------------------------------------ Python


def _rewrite_python(source: str, handler: str) -> str | None:
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return None
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and _reports(node)]
    handlers = [f for f in tree.body if isinstance(f, ast.FunctionDef) and f.name == handler]
    statements = {id(s.value): s for function in handlers for s in _statements(function)}
    lines = source.splitlines(keepends=True)
    for call in sorted(calls, key=lambda node: node.lineno, reverse=True):
        statement = statements.get(id(call))
        status = _status_in_python(call, source)
        if statement is None or not status or not _alone(statement, lines):
            return None
        first, last = statement.lineno - 1, (statement.end_lineno or statement.lineno) - 1
        indent = lines[first][: statement.col_offset]
        end = "\n" if lines[last].endswith("\n") else ""
        lines[first : last + 1] = [f'{indent}return {{"status": {status}}}{end}']
    return "".join(lines) if calls else None


def _reports(call: ast.Call) -> bool:
    return isinstance(call.func, ast.Attribute) and call.func.attr == _PYTHON_CALL


def _statements(function: ast.AST) -> Iterator[ast.Expr | ast.Assign | ast.Return]:
    """Its statements with a value, in all blocks of its own, and in no function within."""
    for child in ast.iter_child_nodes(function):
        if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)):
            continue
        if isinstance(child, (ast.Expr, ast.Assign, ast.Return)):
            yield child
        yield from _statements(child)


def _status_in_python(call: ast.Call, source: str) -> str:
    """The expression of the status; "" when it is not said in the call."""
    for keyword in call.keywords:
        text = ast.get_source_segment(source, keyword.value) or ""
        if keyword.arg == "status":
            return "" if "\n" in text else text
        if keyword.arg is None and isinstance(keyword.value, ast.Name):
            return f'{text}["status"]'
    return ""


def _alone(statement: ast.stmt, lines: list[str]) -> bool:
    """Nothing else stands on its lines but a comment."""
    last = (statement.end_lineno or statement.lineno) - 1
    before = lines[statement.lineno - 1].encode()[: statement.col_offset].decode()
    after = lines[last].encode()[statement.end_col_offset :].decode().strip()
    return not before.strip() and (not after or after.startswith("#"))


# -------------------------------------------------------------------------------- JavaScript


@dataclass(frozen=True, slots=True)
class _Handler:
    """Where the handler's body lies, and what its callback is called."""

    begin: int
    end: int
    callback: str  # "" when it has none


def _rewrite_javascript(source: str, name: str) -> str | None:
    code = _blanked(source)
    places = [match.start() for match in _JAVASCRIPT_CALL.finditer(code)]
    handler = _find_handler(code, name)
    if handler is None or not places:
        return None
    for place in reversed(places):
        if not handler.begin < place < handler.end:
            return None
        changed = _answer(source, code, place, handler)
        if changed is None:
            return None
        source, code = changed, _blanked(changed)
    return source


def _answer(source: str, code: str, place: int, handler: _Handler) -> str | None:
    """The source with the statement around ``place`` replaced."""
    opened = code.index("(", place)
    closed = _closing(code, opened)
    arguments = _split(code, opened + 1, closed)
    begin = code.rfind("\n", 0, place) + 1
    head = code[begin:place]
    if not arguments:
        return None
    status = _status(source, code, *arguments[0])
    target = rf"(?:{_NAME}\.)*{_NAME}(?:\(\))?"
    kept = rf"\s*(?:return\s+|(?:const|let|var)\s+{_NAME}\s*=\s*)?"
    if len(arguments) > 1 and handler.callback and re.fullmatch(rf"\s*{target}\.", head):
        end, answer = closed + 1, f"{handler.callback}(null, {{ status: {status} }});"
    elif _is_nested(code, handler.begin, place):
        return None
    elif re.fullmatch(rf"{kept}await\s+{target}\.send\(\s*", head):
        end = _closing(code, code.rindex("(", 0, place)) + 1
        answer = f"return {{ status: {status} }};"
    elif re.fullmatch(rf"{kept}await\s+{target}\.", head):
        promise = re.match(r"\s*\.promise\(\)", code[closed + 1 :])
        end = closed + 1 + (promise.end() if promise else 0)
        answer = f"return {{ status: {status} }};"
    else:
        return None
    rest = code[end:].split("\n", 1)[0].strip()
    if not status or rest not in {"", ";"}:
        return None
    end += code[end:].index(";") + 1 if rest else 0
    indent = re.match(r"\s*", source[begin:place])
    return f"{source[:begin]}{indent[0] if indent else ''}{answer}{source[end:]}"


def _status(source: str, code: str, begin: int, end: int) -> str:
    """The status in an object that is named, or written out; "" when it is neither."""
    text = source[begin:end].strip()
    if re.fullmatch(_NAME, text):
        return f"{text}.status"
    begin += len(source[begin:end]) - len(source[begin:end].lstrip())
    if code[begin] != "{":
        return ""
    for first, last in _split(code, begin + 1, _closing(code, begin)):
        key, colon, _ = code[first:last].partition(":")
        if key.strip() == "status":
            value = source[first + len(key) + 1 : last].strip() if colon else "status"
            return "" if "\n" in value else value
    return ""


def _find_handler(code: str, name: str) -> _Handler | None:
    exported = rf"(?:module\.)?exports\.{name}\s*=|export\s+(?:const\s+{name}\s*=)?"
    signature = re.compile(
        rf"(?:{exported})\s*(?:async\s*)?(?:function\b\s*(?:{name})?\s*)?\(([^()]*)\)\s*(?:=>\s*)?\{{"
    )
    found = signature.search(code)
    if found is None:
        return None
    names = [one.strip() for one in found[1].split(",")]
    begin = found.end() - 1
    callback = names[2] if len(names) > 2 and re.fullmatch(_NAME, names[2]) else ""  # noqa: PLR2004
    return _Handler(begin, _closing(code, begin), callback)


def _is_nested(code: str, begin: int, place: int) -> bool:
    """A function within the handler is still open: its ``return`` is not the handler's."""
    opened: list[bool] = []
    for at in range(begin + 1, place):
        if code[at] == "{":
            before = code[begin + 1 : at].rstrip()
            opened.append(
                before.endswith("=>") or bool(re.search(r"\bfunction\b[^{}]*\)$", before))
            )
        elif code[at] == "}" and opened:
            opened.pop()
    return any(opened)


def _closing(code: str, opened: int) -> int:
    """Where the bracket that opens here closes; the end of the code where it never does."""
    depth = 0
    for at in range(opened, len(code)):
        depth += (code[at] in _OPENS) - (code[at] in _CLOSES)
        if not depth:
            return at
    return len(code)


def _split(code: str, begin: int, end: int) -> list[tuple[int, int]]:
    """The parts between commas that stand in no bracket of their own."""
    parts, depth, first = [], 0, begin
    for at in range(begin, end):
        depth += (code[at] in _OPENS) - (code[at] in _CLOSES)
        if code[at] == "," and not depth:
            parts.append((first, at))
            first = at + 1
    parts.append((first, end))
    return [(one, other) for one, other in parts if code[one:other].strip()]


def _blanked(source: str) -> str:
    """The code with strings and comments as blanks, as long as it was, line by line."""

    def blank(match: re.Match[str]) -> str:
        text = match[0]
        filler = "_" if text[0] in "'\"`" else " "
        return "".join(character if character == "\n" else filler for character in text)

    return _NOT_CODE.sub(blank, source)
