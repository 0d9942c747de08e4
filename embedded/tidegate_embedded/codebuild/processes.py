"""Child processes on a leash: one process group that dies with its owner, however that ends."""

import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path


class ProcessGroup:
    """A process group that `kill` ends as a whole, and that never outlives this process.

    Its leader does nothing but read from us: when the pipe closes, by `kill` or because this
    process is gone (even by SIGKILL), it kills the group, itself included.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._killed = False
        self._leader = subprocess.Popen(
            ["/bin/sh", "-c", "read _; kill -KILL 0"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={},
            process_group=0,
        )

    def run(self, args: Sequence[str], *, cwd: Path, env: Mapping[str, str], output: int) -> int:
        """Run a command in the group, its output to the file descriptor; return its exit status.

        It is negative when the command was killed, by `kill` among others.
        """
        with self._lock:
            if self._killed:
                return -signal.SIGKILL
            process = subprocess.Popen(
                args,
                cwd=cwd,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                process_group=self._leader.pid,
            )
        return process.wait()

    def kill(self) -> None:
        """End every process of the group. May be called from any thread, more than once."""
        with self._lock:
            self._killed = True
            if self._leader.stdin is not None:
                self._leader.stdin.close()
        self._leader.wait()
