"""The page answers its person, in the words of the command line, and nobody else."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from http.client import HTTPConnection
from typing import Any

import pytest
import shop
from doubles import FakeBackend

from tidegate.core.errors import NotAllowedNow
from tidegate.core.model.record import Evidence, Item, Live, OperatorRequest, ReleasePhase, Tick
from tidegate.web.server import HOST, KEY_HEADER, Page, PageServer, serving

KEY = "the-key"
PROVEN = shop.UNHEALTHY.model_copy(
    update={"evidence": (Evidence(test="errors", log_e=9.0, log_bound=5.0),)}
)


@dataclass(frozen=True)
class Browser:
    """Asks a page as a browser does. ``key`` is what it got with the address."""

    server: PageServer
    backend: FakeBackend
    key: str = KEY

    def ask(
        self, path: str, body: str | None = None, host: str = ""
    ) -> tuple[int, dict[str, str], bytes]:
        headers = {KEY_HEADER: self.key} | ({"Host": host} if host else {})
        with closing(HTTPConnection(HOST, self.server.server_port, timeout=10)) as connection:
            connection.request("GET" if body is None else "POST", path, body, headers)
            response = connection.getresponse()
            return response.status, dict(response.getheaders()), response.read()

    def read(self, path: str) -> dict[str, Any]:
        status, _, body = self.ask(path)
        assert status == 200, body
        return dict(json.loads(body))

    def click(self, verb: str, **request: str) -> tuple[int, dict[str, str]]:
        status, _, body = self.ask(f"/api/releases/shop-7/{verb}", json.dumps(request))
        return status, json.loads(body)


@pytest.fixture
def opened(the_shop: Callable[..., Any]) -> Iterator[Callable[..., Browser]]:
    """Opens a page of a record with these items."""
    with ExitStack() as stack:

        def open_page(*items: Item) -> Browser:
            there = the_shop(items)
            server = stack.enter_context(serving(Page(there.backend, there.time.now, key=KEY)))
            return Browser(server, there.backend)

        yield open_page


def live(stage: str, target: str, number: int = 6) -> Live:
    return Live(
        application="shop",
        stage=stage,
        target=target,
        release_id=f"shop-{number}",
        artifact=shop.artifact(number),
        parameters={},
        versions={"shop-Orders:live": "9", "shop-Cart:live": "10"},
        since=shop.at(-90),
    )


def tick(number: int, action: str, weight: float) -> Tick:
    return Tick(
        release_id="shop-7",
        stage="prod",
        target=shop.PROD,
        number=number,
        at=shop.at(7 + number),
        action=action,
        weight=weight,
        why=f"reason {number}",
        verdict=PROVEN,
    )


def verbs(release: dict[str, Any]) -> list[str]:
    return [request["verb"] for request in release["verbs"]]


def test_tells_what_is_live_where_and_what_is_under_way(opened: Callable[..., Browser]) -> None:
    before = shop.release(ReleasePhase.SUCCEEDED, number=6, started=-100, ended=-90)
    page = opened(before, shop.release(), live("prod", shop.PROD), *shop.shifting())
    (application,) = page.read("/api/applications")["applications"]
    assert application["name"] == "shop"
    (serves,) = application["live"]
    assert (serves["stage"], serves["release_id"]) == ("prod", "shop-6")
    assert serves["versions"] == ["9", "10"]
    newest, older = application["releases"]
    assert (newest["id"], newest["status"]) == ("shop-7", "progressing in prod")
    assert newest["weight"] == pytest.approx(0.1)
    assert (older["id"], older["over"], older["weight"]) == ("shop-6", True, None)


def test_tells_the_course_of_a_shift_with_its_evidence(opened: Callable[..., Browser]) -> None:
    ticks = [tick(1, "set-weight", 0.1), tick(2, "hold", 0.1)]
    page = opened(shop.release(), *shop.shifting(PROVEN), *ticks)
    release = page.read("/api/releases/shop")
    assert release["tree"]["name"] == "shop-7"
    assert release["next"] == "333333333333/eu-west-1: 50 % in 3m42s"
    course = release["rollouts"][-1]
    assert course["versions"] == ["3 → 4"]
    assert [one["action"] for one in course["decisions"]] == ["hold", "set-weight"]
    assert course["health"]["candidate_errors"] == 21
    assert course["health"]["evidence"] == [{"test": "errors", "share": 1.0}]
    assert verbs(release) == ["promote", "promote-full", "pause", "abort"]


def test_offers_to_resume_what_is_paused(opened: Callable[..., Browser]) -> None:
    paused = OperatorRequest(release_id="shop-7", verb="pause", who="ana", reason="", at=shop.at(9))
    page = opened(shop.release(), *shop.shifting(), paused)
    assert "resume" in verbs(page.read("/api/releases/shop-7"))


def test_offers_nothing_when_a_release_is_over(opened: Callable[..., Browser]) -> None:
    page = opened(shop.release(ReleasePhase.FAILED, ended=10), *shop.restored())
    assert verbs(page.read("/api/releases/shop-7")) == []


def test_asks_for_an_approval_as_the_command_line_does(opened: Callable[..., Browser]) -> None:
    page = opened(shop.release(), *shop.asking())
    operator_requests = page.read("/api/releases/shop-7")["verbs"]
    (request,) = (request for request in operator_requests if request["verb"] == "approve")
    assert (request["stage"], request["shown"]) == ("prod", "sha256:2")
    assert page.click("approve", stage="prod", reason=" fine ", shown=request["shown"]) == (
        200,
        {"message": "approve: done"},
    )
    assert page.backend.asked == [("approve", "shop-7", "prod", "fine")]
    assert page.backend.shown == ["sha256:2"]


def test_says_why_the_controller_refuses(opened: Callable[..., Browser]) -> None:
    page = opened(shop.release(), *shop.shifting())
    page.backend.refusal = NotAllowedNow("shop-7 is over.", remedy="See `tidegate list`.")
    status, answer = page.click("pause")
    assert status == 400
    assert answer["error"] == "shop-7 is over. See `tidegate list`."


@pytest.mark.parametrize(
    ("verb", "said"),
    [
        ("abort", "To abort needs a reason. Say why: it is kept in the record."),
        ("unlock", "The page cannot ask for 'unlock'. Use the command line."),
    ],
)
def test_does_not_ask_without_a_reason_nor_what_no_button_says(
    opened: Callable[..., Browser], verb: str, said: str
) -> None:
    page = opened(shop.release(), *shop.shifting())
    assert page.click(verb, reason=" ") == (400, {"error": said})
    assert page.backend.asked == []


def test_tells_and_does_nothing_without_the_key(opened: Callable[..., Browser]) -> None:
    stranger = replace(opened(shop.release(), *shop.shifting()), key="guessed")
    for path, body in (("/api/applications", None), ("/api/releases/shop-7/pause", "{}")):
        status, _, answer = stranger.ask(path, body)
        assert status == 403
        assert b"tidegate dashboard" in answer
    assert stranger.backend.asked == []


def test_refuses_a_page_elsewhere_that_calls_it_by_another_name(
    opened: Callable[..., Browser],
) -> None:
    page = opened(shop.release(), *shop.shifting())
    for path, body in (("/", None), ("/api/releases/shop-7/pause", "{}")):
        assert page.ask(path, body, host="tidegate.example:80")[0] == 421
    assert page.backend.asked == []


@pytest.mark.parametrize("body", ["[]", "no JSON"])
def test_refuses_what_is_no_wish(opened: Callable[..., Browser], body: str) -> None:
    page = opened(shop.release(), *shop.shifting())
    status, _, answer = page.ask("/api/releases/shop-7/pause", body)
    assert (status, json.loads(answer)["error"]) == (400, "The body is not a JSON object.")


def test_refuses_more_than_a_wish_can_be(opened: Callable[..., Browser]) -> None:
    page = opened(shop.release())
    assert page.ask("/api/releases/shop-7/pause", "x" * 5000)[0] == 413


@pytest.mark.parametrize("path", ["/api/releases/shop-99x", "/api/else", "/etc/passwd"])
def test_there_is_nothing_elsewhere(opened: Callable[..., Browser], path: str) -> None:
    assert opened(shop.release()).ask(path)[0] == 404


@pytest.mark.parametrize(
    ("path", "kind"),
    [("/", "text/html"), ("/page.js", "text/javascript"), ("/page.css", "text/css")],
)
def test_the_page_loads_nothing_from_elsewhere(
    opened: Callable[..., Browser], path: str, kind: str
) -> None:
    status, headers, body = opened().ask(path)
    assert status == 200
    assert headers["Content-Type"].startswith(kind)
    assert headers["Content-Security-Policy"].startswith("default-src 'self'")
    assert b"https://" not in body


def test_the_address_has_the_key_where_browsers_keep_it(opened: Callable[..., Browser]) -> None:
    address = opened().server.address("shop-7")
    before, _, fragment = address.partition("#")
    assert KEY not in before
    assert fragment == f"key={KEY}&release=shop-7"


def test_says_when_its_port_is_in_use(
    opened: Callable[..., Browser], the_shop: Callable[..., Any]
) -> None:
    port = opened().server.server_port
    result = the_shop([]).run("dashboard", "--no-open", "--port", str(port))
    assert result.exit_code == 2
    assert f"Port {port}: Address already in use. Name another: --port." in result.stderr


def test_serves_until_it_is_interrupted(
    the_shop: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(server: PageServer) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(PageServer, "serve_forever", interrupted)
    result = the_shop([]).run("dashboard", "shop-7", "--no-open", "--port", "0")
    assert result.exit_code == 0
    assert "&release=shop-7\nCtrl-C ends it." in result.stdout
