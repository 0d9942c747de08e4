"""Replacing single functions of the emulators for as long as the embedded AWS runs."""

from collections.abc import Callable
from types import ModuleType
from typing import Any


class Patches:
    """Replacements in modules, undone together."""

    def __init__(self) -> None:
        self._undo: list[tuple[ModuleType, str, Any]] = []

    def replace(
        self, module: ModuleType, name: str, make: Callable[[Callable[..., Any]], Any]
    ) -> None:
        """Put `make(original)` in place of the function `name` of `module`.

        Raises
        ------
        AttributeError
            The module has no such function: another version of the package is installed.
        """
        original = getattr(module, name)
        self._undo.append((module, name, original))
        setattr(module, name, make(original))

    def undo(self) -> None:
        """Put every original back."""
        while self._undo:
            setattr(*self._undo.pop())
