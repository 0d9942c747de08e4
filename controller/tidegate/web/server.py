"""Serves the page on this machine, to one person: whoever holds the key that its address carries.

The server acts with that person's AWS credentials, so it answers nobody else. It listens on the
loopback address only; it refuses what a page elsewhere may have caused (`core.loopback`); and all
that it tells or does needs the key, which travels in the fragment of the address, where browsers
keep it to themselves, and in a header that no form of another site can set. A browser is opened by
a file that holds the address (`handover`): what a process is started with, everybody can read.
"""

from __future__ import annotations

import hmac
import json
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from threading import Lock, Thread
from typing import Any, Final
from urllib.parse import quote, unquote

from botocore.exceptions import BotoCoreError, ClientError

from tidegate.cli.backend import Backend
from tidegate.core.errors import InputError, NotFound, TidegateError
from tidegate.web import answers, loopback

HOST: Final = "127.0.0.1"
KEY_HEADER: Final = "X-Tidegate-Key"

_FILES: Final = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
    "/page.js": ("page.js", "text/javascript; charset=utf-8"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
}
_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'self'; frame-ancestors 'none'; base-uri 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_LONGEST_BODY: Final = 4096
_POLL_SECONDS: Final = 0.1  # how soon it notices that it is to end
_API: Final = "/api/"


@dataclass(frozen=True)
class Answer:
    """What goes back to the browser."""

    status: HTTPStatus
    type: str
    body: bytes

    @classmethod
    def json(cls, value: Any, status: HTTPStatus = HTTPStatus.OK) -> Answer:
        """A value as JSON."""
        return cls(status, "application/json", json.dumps(value).encode())

    @classmethod
    def refusal(cls, status: HTTPStatus, message: str) -> Answer:
        """Why not, for people."""
        return cls.json({"error": message}, status)


@dataclass(frozen=True)
class Page:
    """What the page shows, and to whom."""

    backend: Backend
    now: Callable[[], datetime]
    key: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)
    on_key: Callable[[], None] = lambda: None
    """Called each time that somebody brings the key."""
    _turn: Lock = field(default_factory=Lock, repr=False)  # AWS sessions are not thread-safe

    def get(self, path: str, headers: Mapping[str, str]) -> Answer:
        """A file of the page, or what the record says."""
        if path in _FILES:
            name, kind = _FILES[path]
            return Answer(HTTPStatus.OK, kind, (files(__package__) / "page" / name).read_bytes())
        return self._guarded(headers, lambda: self._read(path))

    def post(self, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Ask the controller for what a button says: ``/api/releases/<id>/<verb>``."""
        return self._guarded(headers, lambda: self._operate(path, body))

    def _guarded(self, headers: Mapping[str, str], answer: Callable[[], Answer]) -> Answer:
        """The answer to whoever has the key; what goes wrong is said in one sentence."""
        if not hmac.compare_digest(headers.get(KEY_HEADER, "").encode(), self.key.encode()):
            return Answer.refusal(
                HTTPStatus.FORBIDDEN, "Open the address that `tidegate dashboard` printed."
            )
        self.on_key()
        try:
            with self._turn:
                return answer()
        except NotFound as error:
            return Answer.refusal(HTTPStatus.NOT_FOUND, str(error))
        except InputError as error:
            return Answer.refusal(HTTPStatus.BAD_REQUEST, str(error))
        except TidegateError as error:
            return Answer.refusal(HTTPStatus.CONFLICT, f"{type(error).__name__}: {error}")
        except (BotoCoreError, ClientError) as error:
            return Answer.refusal(HTTPStatus.BAD_GATEWAY, f"AWS: {error}")

    def _read(self, path: str) -> Answer:
        ledger = self.backend.ledger
        match _parts(path):
            case ["applications"]:
                return Answer.json(answers.overview(ledger, self.now()))
            case ["releases", name]:
                return Answer.json(answers.release(ledger, name, self.now()))
        raise NotFound(f"There is nothing at {path}.")

    def _operate(self, path: str, body: bytes) -> Answer:
        match _parts(path):
            case ["releases", name, verb]:
                return Answer.json(answers.operate(self.backend, verb, name, _wish(body)))
        raise NotFound(f"There is nothing at {path}.")


class PageServer(ThreadingHTTPServer):
    """Serves one page until it is shut down. Raises ``OSError`` when the port is in use."""

    daemon_threads = True

    def __init__(self, page: Page, port: int = 0) -> None:
        self.page = page
        super().__init__((HOST, port), _Handler)

    def address(self, release: str = "") -> str:
        """Where the page is, or one release on it, with the key to it."""
        at = f"&release={quote(release)}" if release else ""
        return f"http://{HOST}:{self.server_port}/#key={self.page.key}{at}"


@contextmanager
def serving(page: Page, port: int = 0) -> Iterator[PageServer]:
    """Serve the page beside what the caller does."""
    with PageServer(page, port) as server:
        thread = Thread(target=server.serve_forever, args=(_POLL_SECONDS,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    server: PageServer
    server_version = "tidegate"
    sys_version = ""
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._send(self._refused() or self.server.page.get(self._path(), self._headers()))

    def do_OPTIONS(self) -> None:
        self.do_GET()  # refuses it

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or int(length) > _LONGEST_BODY:
            self.close_connection = True
            self._send(Answer.refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "That is too much."))
            return
        body = self.rfile.read(int(length))
        page = self.server.page
        self._send(self._refused() or page.post(self._path(), self._headers(), body))

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Say nothing: the terminal belongs to the person."""

    def _refused(self) -> Answer | None:
        refused = loopback.refusal(
            self.command, self.headers.items(), self.server.server_port, is_page=True
        )
        return Answer.refusal(HTTPStatus(refused.status), refused.message) if refused else None

    def _path(self) -> str:
        return self.path.partition("?")[0]

    def _headers(self) -> Mapping[str, str]:
        return {KEY_HEADER: self.headers.get(KEY_HEADER, "")}

    def _send(self, answer: Answer) -> None:
        self.send_response(answer.status)
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        self.send_header("Content-Type", answer.type)
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        self.wfile.write(answer.body)


def _parts(path: str) -> list[str]:
    """The parts of a path below ``/api/``; none of another."""
    if not path.startswith(_API):
        return []
    return [unquote(part) for part in path.removeprefix(_API).split("/")]


def _wish(body: bytes) -> Mapping[str, Any]:
    try:
        request = json.loads(body or b"{}")
    except ValueError:
        request = None
    if not isinstance(request, Mapping):
        raise InputError("The body is not a JSON object.")
    return request
