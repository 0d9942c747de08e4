"""Lambda in memory: functions with published versions, aliases with revisions, hooks that run."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tidegate.core.errors import AliasConflict, NotFound
from tidegate.core.ports import AliasRef, AliasState, Invocation

Code = Callable[[Mapping[str, Any]], Any]
_ARN = "arn:aws:lambda:eu-west-1:111111111111"


class MemoryAliases:
    """Aliases that keep their revision as Lambda does: every write makes another one."""

    def __init__(self) -> None:
        self._states: dict[AliasRef, AliasState] = {}
        self._revision = 0
        self.writes: list[tuple[AliasRef, AliasState]] = []  # in their order
        self.broken: dict[AliasRef, Exception] = {}  # what a write of the alias raises
        self.on_change: Callable[[AliasRef, AliasState | None, AliasState], None] = _nothing

    def read(self, ref: AliasRef) -> AliasState:
        """The alias as it is."""
        try:
            return self._states[ref]
        except KeyError:
            raise NotFound(f"{ref.function} has no alias {ref.alias}.") from None

    def write(
        self, ref: AliasRef, *, version: str, routes: Mapping[str, float], expected_revision: str
    ) -> AliasState:
        """Set version and weights, if the revision is the expected one."""
        found = self.read(ref)
        if ref in self.broken:
            raise self.broken[ref]
        if found.revision != expected_revision:
            raise AliasConflict(
                f"{ref.function}:{ref.alias} is at revision {found.revision}, "
                f"expected {expected_revision}."
            )
        return self.set(ref.function, ref.alias, version, routes)

    def of(self, function: str) -> list[AliasState]:
        """All aliases of a function."""
        return [state for ref, state in self._states.items() if ref.function == function]

    def set(
        self, function: str, alias: str, version: str, routes: Mapping[str, float] | None = None
    ) -> AliasState:
        """Set the alias as somebody who asks nobody: CloudFormation, or a person."""
        self._revision += 1
        ref = AliasRef(function, alias)
        before = self._states.get(ref)
        state = AliasState(version, dict(routes or {}), f"revision-{self._revision}")
        self._states[ref] = state
        self.writes.append((ref, state))
        self.on_change(ref, before, state)
        return state

    def all(self) -> dict[AliasRef, AliasState]:
        """Every alias as it is."""
        return dict(self._states)


@dataclass
class MemoryFunctions:
    """Functions with their published versions; what a hook does is a function of the test."""

    aliases: MemoryAliases = field(default_factory=MemoryAliases)
    code: dict[str, Code] = field(default_factory=dict)  # physical name -> what it does
    marks: list[Mapping[str, Any]] = field(default_factory=list)  # of each call
    calls: list[tuple[str, Mapping[str, Any], int]] = field(default_factory=list)
    layers: dict[str, str] = field(default_factory=dict)  # ARN -> digest of its content

    def __post_init__(self) -> None:
        self._present: dict[str, Mapping[str, Any]] = {}
        self._versions: dict[str, list[Mapping[str, Any]]] = {}
        self.deleted: set[tuple[str, int]] = set()

    def invoke(
        self,
        function: str,
        payload: Any,
        timeout_seconds: int,
        mark: Mapping[str, Any] | None = None,
    ) -> Invocation:
        """Run the function; what it raises is its error, as Lambda reports it."""
        self.marks.append(mark or {})
        self.calls.append((function, payload, timeout_seconds))
        try:
            answer = self.code.get(function, _pass)(payload)
        except Exception as error:
            name, said = type(error).__name__, str(error)
            return Invocation({"errorType": name, "errorMessage": said}, name, f"[ERROR] {said}")
        return Invocation(answer)

    def canary_blockers(self, function: str, stable: str, candidate: str) -> list[str]:
        """Whether both versions have the same role."""
        versions = self._versions[function]
        roles = [versions[int(version) - 1].get("Role") for version in (stable, candidate)]
        return [] if roles[0] == roles[1] else [f"its role changes from {roles[0]} to {roles[1]}"]

    def last_version(self, function: str) -> int:
        """The number of the newest version. Raises ``NotFound``."""
        if function not in self._present:
            raise NotFound(f"There is no function {function}.")
        return len(self._versions.get(function, []))

    def unpublished(self, function: str) -> Mapping[str, Any]:
        """What the function itself was deployed with. Raises ``NotFound``."""
        self.last_version(function)
        return self._present[function]

    def properties(self, function: str, version: int) -> Mapping[str, Any]:
        """What the version was published with."""
        return self._versions[function][version - 1]

    def check_version(self, function: str, version: str) -> None:
        """Raise ``NotFound`` unless this version was published."""
        published = range(1, len(self._versions.get(function, ())) + 1)
        if int(version) not in published:
            raise NotFound(f"{function} has no version {version}.")

    def deploy(self, function: str, properties: Mapping[str, Any]) -> None:
        """Change the unpublished function."""
        self._present[function] = properties

    def publish(self, function: str) -> str:
        """Publish what is deployed. Returns the version's ARN."""
        versions = self._versions.setdefault(function, [])
        versions.append(self._present[function])
        return f"{_ARN}:function:{function}:{len(versions)}"

    def publish_layer(self, layer: str, digest: str) -> str:
        """Publish the layer's next version. Returns its ARN."""
        of_it = [arn for arn in self.layers if arn.startswith(f"{_ARN}:layer:{layer}:")]
        arn = f"{_ARN}:layer:{layer}:{len(of_it) + 1}"
        self.layers[arn] = digest
        return arn

    def published(self, function: str, version: str) -> Mapping[str, Any]:
        """What a version was published from."""
        return self._versions[function][int(version) - 1]


@dataclass
class MemoryVersions:
    """What is published of the functions in memory."""

    functions: MemoryFunctions
    callers: dict[str, list[str]] = field(default_factory=dict)  # who bypasses the alias, by name
    undeletable: dict[int, Exception] = field(default_factory=dict)  # what deleting them raises

    def code(self, function: str, version: str) -> str:
        """The digest that the version was deployed with."""
        properties = self._properties(function, version)
        inline = hashlib.sha256(str(properties.get("Code")).encode()).hexdigest()
        return str(properties.get("CodeSha256", f"sha256:{inline}"))

    def layers(self, function: str, version: str) -> list[str]:
        """Those that it was deployed with."""
        return list(self._properties(function, version).get("Layers", ()))

    def layer_code(self, layer: str) -> str:
        """The digest of what was published as this layer."""
        try:
            return self.functions.layers[layer]
        except KeyError:
            raise NotFound(f"There is no layer {layer}.") from None

    def _properties(self, function: str, version: str) -> Mapping[str, Any]:
        if version == "$LATEST":
            return self.functions.unpublished(function)
        if int(version) not in self.published(function):
            raise NotFound(f"{function} has no version {version}.")
        return self.functions.properties(function, int(version))

    def published(self, function: str) -> list[int]:
        """The versions that were not deleted."""
        last = self.functions.last_version(function)
        everything = range(1, last + 1)
        return [n for n in everything if (function, n) not in self.functions.deleted]

    def in_use(self, function: str) -> frozenset[int]:
        """What the function's aliases serve."""
        states = self.functions.aliases.of(function)
        return frozenset(int(v) for state in states for v in (state.version, *state.routes))

    def bypasses(self, function: str) -> list[str]:
        """As a test says."""
        return self.callers.get(function, [])

    def delete(self, function: str, version: int) -> None:
        """Forget the version."""
        if version in self.undeletable:
            raise self.undeletable[version]
        self.functions.deleted.add((function, version))


def _pass(payload: Mapping[str, Any]) -> Any:
    return {"status": "Succeeded", "when": payload["when"]}


def _nothing(*_: object) -> None:
    return None
