"""Replacing single functions of the emulators for as long as the embedded AWS runs."""

from collections import Counter
from collections.abc import Callable
from types import ModuleType
from typing import Any

from tidegate_embedded.patches import KNOWN

_replaced: Counter[tuple[str, str]] = Counter()


def replaced() -> frozenset[tuple[str, str]]:
    """What is replaced now: modules or classes by their dotted names, and names in them."""
    return frozenset(+_replaced)


class Patches:
    """Replacements in modules and classes, undone together."""

    def __init__(self) -> None:
        self._undo: list[tuple[ModuleType | type, str, Any]] = []

    def replace(
        self,
        owner: ModuleType | type,
        name: str,
        make: Callable[[Callable[..., Any]], Any],
    ) -> None:
        """Put `make(original)` in place of the function `name` of `owner`.

        Raises
        ------
        AttributeError
            There is no such function: another version of the package is installed.
        KeyError
            `patches.py` does not list it.
        """
        if (_dotted(owner), name) not in KNOWN:
            raise KeyError(f"{_dotted(owner)}.{name} is not in tidegate_embedded.patches")
        original = getattr(owner, name)
        self._undo.append((owner, name, original))
        _replaced[_dotted(owner), name] += 1
        setattr(owner, name, make(original))

    def undo(self) -> None:
        """Put every original back."""
        while self._undo:
            owner, name, original = self._undo.pop()
            _replaced[_dotted(owner), name] -= 1
            setattr(owner, name, original)


def _dotted(owner: ModuleType | type) -> str:
    """The name that leads to it."""
    if isinstance(owner, type):
        return f"{owner.__module__}.{owner.__qualname__}"
    return owner.__name__
