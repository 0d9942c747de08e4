"""How the command line speaks: exit codes, one clear message for each error, tables and JSON."""

from __future__ import annotations

import os
import signal
import traceback
from collections.abc import Callable
from enum import IntEnum, StrEnum
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn

import typer
from typer.core import TyperGroup

from tidegate.cli.terminal import say, say_json
from tidegate.core.errors import InputError, NotFound, TidegateError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from tidegate.cli.screen import Screen

_DEBUG = "TIDEGATE_DEBUG"


class ExitCode(IntEnum):
    """What a script learns from the exit code."""

    OK = 0  # done; for a release: it succeeded
    FAILED = 1  # an error; for a release: failed, rejected, aborted, superseded or stuck
    INPUT = 2  # wrong usage or input: nothing was started
    WAITING = 3  # the release is under way, or waits for a person
    TIMEOUT = 124  # --timeout is over and the release is not


class Output(StrEnum):
    """For people or for programs."""

    TABLE = "table"
    JSON = "json"


class Group(TyperGroup):
    """Verbs whose errors end in one message on stderr and an exit code, not in a traceback."""

    def invoke(self, ctx: Any) -> Any:
        """Run the verb."""
        try:
            return super().invoke(ctx)
        except (typer.Exit, typer.Abort, typer.TyperException):
            raise
        except Exception as error:
            if os.environ.get(_DEBUG):
                say(*traceback.format_exc().splitlines(), err=True)
            lines, code = explain(error)
            complain(*lines)
            raise typer.Exit(code) from error


def debug() -> None:
    """From now on, errors come with their traceback."""
    os.environ[_DEBUG] = "1"


def explain(error: Exception) -> tuple[tuple[str, ...], ExitCode]:
    """What to tell the person, line by line, and the exit code."""
    if isinstance(error, InputError | NotFound):
        return error.lines, ExitCode.INPUT
    if isinstance(error, TidegateError):
        return (f"{type(error).__name__}: {error}",), ExitCode.FAILED
    if isinstance(error, OSError) and error.filename:
        return (f"{error.filename}: {error.strerror}.",), ExitCode.INPUT
    if type(error).__module__.partition(".")[0] == "botocore":
        return (f"AWS: {error}",), ExitCode.FAILED
    where = "After `export TIDEGATE_DEBUG=1` the same command shows where."
    return (f"unexpected {type(error).__name__}: {error}. {where}",), ExitCode.FAILED


def complain(*lines: str) -> None:
    """One message on stderr."""
    say(*lines, err=True, label=typer.style("error: ", fg="red", bold=True))


def console(*, quiet: bool = False) -> Screen:
    """Standard output, as wide as the terminal; one that shows nothing when ``quiet``."""
    from tidegate.cli.screen import Screen

    return Screen(quiet=quiet)


def show(value: Any, output: Output, draw: Callable[[], RenderableType]) -> None:
    """Print a value as JSON or drawn; ``draw`` is called only when it is needed."""
    if output is Output.JSON:
        say_json(value)
    else:
        console().print(draw())


def end_on_sigterm() -> None:
    """End as on Ctrl-C, so that what was started is stopped."""

    def end(_signal: int, _frame: FrameType | None) -> NoReturn:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, end)
