"""First code of an execution environment: ties its life to its parent's, then runs AWS's client.

Run as a script by the interpreter of the function, so it imports nothing of Tidegate.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def die_with(parent: int) -> None:
    """Have the kernel kill this process when the thread that started it ends."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it ended before the call above
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    die_with(int(sys.argv[1]))
    from awslambdaric.__main__ import main

    main(["bootstrap", sys.argv[2]])
