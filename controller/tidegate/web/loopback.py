"""Which HTTP requests a server of this machine answers: none that a web page can have caused.

Whatever page a person has open may send requests to 127.0.0.1, and a name of its own may lead there
(DNS rebinding). So the host has to be one that the server listens by, and the headers that browsers
add on their own have to be missing or the server's own. A page can neither remove nor forge these.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

_NAMES: Final = frozenset({"127.0.0.1", "localhost", "[::1]"})
_BELOW: Final = (".localhost", ".127.0.0.1")
"""What buckets and APIs of the embedded AWS are called; nobody can register such a name."""


@dataclass(frozen=True, slots=True)
class Refused:
    """Why a request is not answered, and by which status of HTTP."""

    status: int
    message: str


def refusal(
    method: str, headers: Iterable[tuple[str, str]], port: int, *, is_page: bool = False
) -> Refused | None:
    """Why a server on ``port`` of this machine must not answer a request with these headers.

    A server of programs takes nothing that a browser sends on behalf of a page. That of a page
    (``is_page``) takes what this very page sends, and that a person opens it, from wherever.
    """
    given: dict[str, list[str]] = {}
    for name, value in headers:
        given.setdefault(name.lower(), []).append(value.strip().lower())
    hosts = given.get("host", [])
    if len(hosts) != 1 or not _listens_as(hosts[0], port, is_page=is_page):
        return Refused(421, "This is another host.")
    if method == "OPTIONS":
        return Refused(403, "No page of another origin is allowed here, so there is none to ask.")
    own = {f"http://{hosts[0]}"} if is_page else set()
    if not own.issuperset(given.get("origin", [])):
        return Refused(403, "This does not answer pages of another origin.")
    sites = {"none", "same-origin"} if is_page else {"none"}
    asked_by = given.get("sec-fetch-site", [])
    if not sites.issuperset(asked_by) and not (is_page and _opens(method, given)):
        return Refused(403, "This does not answer what another page asks for.")
    return None


def _listens_as(host: str, port: int, *, is_page: bool) -> bool:
    name, colon, given_port = host.rpartition(":")
    if not colon or given_port != str(port):
        return False
    return name in _NAMES or (not is_page and name.endswith(_BELOW))


def _opens(method: str, given: dict[str, list[str]]) -> bool:
    """A person follows a link to the page: its files hold nothing, and no frame may show them."""
    return (
        method == "GET"
        and given.get("sec-fetch-mode") == ["navigate"]
        and given.get("sec-fetch-dest") == ["document"]
    )
