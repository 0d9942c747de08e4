"""A server of this machine answers programs and its own page, and no page from elsewhere."""

import pytest

from tidegate.web.loopback import refusal

HERE = ("Host", "127.0.0.1:4566")
NAVIGATION = [
    ("Sec-Fetch-Site", "cross-site"),
    ("Sec-Fetch-Mode", "navigate"),
    ("Sec-Fetch-Dest", "document"),
]


def status(*headers: tuple[str, str], method: str = "POST", is_page: bool = False) -> int:
    refused = refusal(method, headers, 4566, is_page=is_page)
    return refused.status if refused else 200


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1:4566",
        "localhost:4566",
        "LOCALHOST:4566",
        "[::1]:4566",
        "bucket.localhost:4566",
        "0a1b2c3d.execute-api.127.0.0.1:4566",
    ],
)
def test_answers_programs_by_every_name_that_it_hands_out(host: str) -> None:
    assert status(("host", host)) == 200
    assert status(("host", host), ("sec-fetch-site", "none")) == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example:4566",
        "127.0.0.1.evil.example:4566",
        "evil-localhost:4566",
        "127.0.0.1:80",
        "127.0.0.1",
        "localhost",
        "4566",
        "",
    ],
)
def test_answers_by_no_other_name(host: str) -> None:
    assert status(("Host", host)) == 421


def test_answers_none_that_names_no_host_or_two() -> None:
    assert status() == 421
    assert status(HERE, ("Host", "localhost:4566")) == 421


def test_a_page_is_not_known_by_names_below() -> None:
    assert status(("Host", "x.localhost:4566"), is_page=True) == 421


@pytest.mark.parametrize(
    "header",
    [
        ("Origin", "https://evil.example"),
        ("Origin", "null"),
        ("Origin", "http://127.0.0.1:4566"),
        ("Origin", ""),
        ("Sec-Fetch-Site", "cross-site"),
        ("Sec-Fetch-Site", "same-site"),
        ("Sec-Fetch-Site", "same-origin"),
    ],
)
def test_programs_are_no_browsers(header: tuple[str, str]) -> None:
    assert status(HERE, header) == 403


@pytest.mark.parametrize("is_page", [True, False])
def test_there_is_nothing_to_ask_before_a_request(is_page: bool) -> None:
    assert status(HERE, method="OPTIONS", is_page=is_page) == 403


def test_a_page_may_call_its_own_server() -> None:
    own = ("Origin", "http://127.0.0.1:4566")
    assert status(HERE, own, ("Sec-Fetch-Site", "same-origin"), is_page=True) == 200
    assert status(HERE, is_page=True) == 200


@pytest.mark.parametrize(
    "header",
    [
        ("Origin", "http://localhost:4566"),
        ("Origin", "http://127.0.0.1:4567"),
        ("Origin", "https://evil.example"),
        ("Sec-Fetch-Site", "cross-site"),
        ("Sec-Fetch-Site", "same-site"),
    ],
)
def test_no_other_page_may(header: tuple[str, str]) -> None:
    assert status(HERE, header, is_page=True) == 403


def test_a_person_may_open_a_page_from_anywhere() -> None:
    assert status(HERE, *NAVIGATION, method="GET", is_page=True) == 200


@pytest.mark.parametrize(
    ("method", "headers", "is_page"),
    [
        ("POST", NAVIGATION, True),  # a form
        ("GET", [*NAVIGATION[:2], ("Sec-Fetch-Dest", "iframe")], True),
        ("GET", [NAVIGATION[0], ("Sec-Fetch-Mode", "no-cors"), NAVIGATION[2]], True),
        ("GET", NAVIGATION, False),
    ],
)
def test_but_nothing_else_of_it(method: str, headers: list[tuple[str, str]], is_page: bool) -> None:
    assert status(HERE, *headers, method=method, is_page=is_page) == 403
