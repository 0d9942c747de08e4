"""Variables of a pipeline: replaces `#{Namespace.Name}` in the settings of an action."""

import re
from collections.abc import Mapping
from typing import Final

Namespaces = Mapping[str, Mapping[str, str]]

_REFERENCE: Final = re.compile(r"#\{(?P<namespace>[^.{}]+)\.(?P<name>[^{}]+)\}")


class UnknownVariableError(LookupError):
    """A setting of an action refers to a variable that no earlier action has set."""


def resolve(text: str, namespaces: Namespaces) -> str:
    """The text with all its variables replaced."""

    def value(match: re.Match[str]) -> str:
        try:
            return namespaces[match["namespace"]][match["name"]]
        except KeyError:
            raise UnknownVariableError(f"{match[0]} is not set by an earlier action") from None

    return _REFERENCE.sub(value, text)


def resolve_all(settings: Mapping[str, str], namespaces: Namespaces) -> dict[str, str]:
    """Settings with all their variables replaced."""
    return {name: resolve(value, namespaces) for name, value in settings.items()}
