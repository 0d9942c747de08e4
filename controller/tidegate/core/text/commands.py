"""Commands that people are told to type: each can be pasted as it stands."""

from __future__ import annotations

from shlex import quote
from typing import Final

# The verbs that do nothing without a reason, as the command line has it: a test compares the two.
NEED_A_REASON: Final = frozenset({"reject", "abort", "rollback", "unlock"})


def command(verb: str, *arguments: str, **options: str | bool) -> str:
    """The command ``tidegate VERB`` with these arguments and options, quoted for a shell.

    An option of ``True`` is a flag, and one of "" is left out. A verb that needs a reason and is
    given none gets ``--reason 'why'`` to fill in.
    """
    words = ["tidegate", verb, *map(quote, arguments)]
    for name, value in options.items():
        if value == "":
            continue
        words.append(f"--{name}" if value is True else f"--{name} {quote(str(value))}")
    if verb in NEED_A_REASON and "reason" not in options:
        words.append("--reason 'why'")
    return " ".join(words)
