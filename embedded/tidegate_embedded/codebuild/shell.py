"""The shell of a build: runs the commands of a phase and carries environment and folder on."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tidegate_embedded.codebuild.processes import ProcessGroup

_COMMAND = """\
printf '%s' {index} > {state}/index
printf '\\n[Container] %s Running command %s\\n' "$(date -u '+%Y/%m/%d %H:%M:%S')" {quoted}
. {state}/command-{index}
__tidegate_status=$?
/usr/bin/env -0 > {state}/environment && pwd > {state}/directory
[ "$__tidegate_status" -eq 0 ] || exit "$__tidegate_status"
"""


@dataclass(frozen=True, slots=True)
class CommandFailure:
    """The command that ended a phase, and its exit status."""

    command: str
    status: int

    def __str__(self) -> str:
        return f"Error while executing command: {self.command}. Reason: exit status {self.status}"


class Shell:
    """Runs lists of commands, each list in one shell process, as if all were typed into one.

    Exported variables and the working folder carry on from list to list, as in CodeBuild; shell
    functions and variables that are not exported last for their list only.
    """

    def __init__(
        self,
        program: str,
        *,
        directory: Path,
        environment: Mapping[str, str],
        group: ProcessGroup,
        output: int,
        state_dir: Path,
    ) -> None:
        self.environment = dict(environment)
        self._program = program
        self._directory = directory
        self._group = group
        self._output = output
        self._state_dir = state_dir

    def run(self, commands: Sequence[str]) -> CommandFailure | None:
        """Run the commands in order; stop at the first that fails and return it."""
        if not commands:
            return None
        self._state_dir.mkdir(parents=True, exist_ok=True)
        position = self._state_dir / "index"
        position.unlink(missing_ok=True)
        script = self._state_dir / "script"
        script.write_text(self._script(commands))
        status = self._group.run(
            [self._program, str(script)],
            cwd=self._directory,
            env=self.environment,
            output=self._output,
        )
        self._remember()
        if status == 0:
            return None
        index = int(position.read_text()) if position.exists() else 0
        return CommandFailure(commands[index], status)

    def _script(self, commands: Sequence[str]) -> str:
        state = shlex.quote(str(self._state_dir))
        parts = []
        for index, command in enumerate(commands):
            (self._state_dir / f"command-{index}").write_text(command + "\n")
            parts.append(_COMMAND.format(index=index, state=state, quoted=shlex.quote(command)))
        return "".join(parts)

    def _remember(self) -> None:
        environment = self._state_dir / "environment"
        directory = self._state_dir / "directory"
        if environment.exists():
            entries = environment.read_text(errors="surrogateescape").split("\0")
            pairs = (entry.partition("=") for entry in entries if entry)
            self.environment = {name: value for name, _, value in pairs}
        if directory.exists():
            self._directory = Path(directory.read_text().removesuffix("\n"))
