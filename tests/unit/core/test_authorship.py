"""Who wrote what is not live yet, and who of those that vote may be one of them."""

import pytest

from tidegate.core.approval.authors import Authorship, authorship, is_author, may_be_author
from tidegate.core.approval.identity import identify
from tidegate.core.model.artifact import Commit, Revision

ROLE = "arn:aws:sts::111111111111:assumed-role/Developer"
ADA = "Ada Lovelace <ada@example.org>"
BOB = "Bob <bob@example.org>"
CID = "Cid <cid@example.org>"


def commit(name: str, parents: str = "", *authors: str) -> Commit:
    return Commit(id=name, parents=tuple(parents.split()), authors=authors or (BOB,))


def revision(*history: Commit) -> Revision:
    """The newest first."""
    return Revision(commit=history[0].id, author=history[0].authors[0], history=history)


LINE = revision(commit("c", "b", CID), commit("b", "a", BOB, ADA), commit("a", "", ADA))


@pytest.mark.parametrize(
    ("live", "authors"),
    [
        ({"here": "c"}, (CID,)),
        ({"here": "b"}, (CID,)),
        ({"here": "a"}, (CID, BOB, ADA)),
        ({"here": ""}, (CID, BOB, ADA)),
        ({"here": "c", "there": "a"}, (CID, BOB, ADA)),
        ({}, (CID,)),
    ],
)
def test_all_who_wrote_what_some_target_does_not_serve(
    live: dict[str, str], authors: tuple[str, ...]
) -> None:
    assert authorship(LINE, live) == Authorship(authors, ())


def test_what_was_written_on_a_branch_counts_though_it_is_older_than_what_is_live() -> None:
    merged = revision(
        commit("merge", "live branch", BOB),
        commit("live", "fork", CID),
        commit("branch", "fork", ADA),
        commit("fork", "", "Fay <fay@example.org>"),
    )
    assert authorship(merged, {"here": "live"}) == Authorship((BOB, ADA), ())


def test_nobody_knows_who_wrote_what_is_not_in_the_history() -> None:
    written = authorship(LINE, {"here": "feedc0ffee", "there": "b"})
    assert written.authors == (CID,)
    assert written.doubts == (
        "here serves commit feedc0f, which is not in the history that was built",
    )


def test_nobody_knows_who_wrote_what_a_short_history_leaves_out() -> None:
    short = revision(
        commit("c", "live branch", CID), commit("live", "older"), commit("branch", "x")
    )
    doubt = "the history that was built does not go back to all that is new in here"
    assert authorship(short, {"here": "live"}) == Authorship((CID, BOB), (doubt,))
    assert authorship(short, {"here": ""}).doubts == (doubt,)


def test_what_is_older_than_what_is_live_is_not_missed() -> None:
    both = revision(
        commit("c", "live branch", CID), commit("live", "x"), commit("branch", "x", ADA)
    )
    assert authorship(both, {"here": "live"}) == Authorship((CID, ADA), ())


def test_nobody_knows_who_wrote_what_has_no_history() -> None:
    doubt = "the artifact has no history of its commit"
    told = Revision(commit="c", author=ADA)
    assert authorship(told, {"here": "c"}) == Authorship((ADA,), (doubt,))
    assert authorship(None, {"here": "c"}) == Authorship((), (doubt,))


@pytest.mark.parametrize("author", ["", "<>", " <  > "])
def test_an_author_without_a_name_may_be_anybody(author: str) -> None:
    written = authorship(revision(commit("c", "", author, BOB)), {"here": ""})
    assert written == Authorship((BOB,), ("a commit names no author",))


@pytest.mark.parametrize(
    "author",
    [
        "Ada",
        "Ada <ada>",
        "Ada <ada@localhost>",
        "Ada <12+ada@users.noreply.github.com>",
        "Ada <no-reply@example.org>",
        "Ada <@example.org>",
    ],
)
def test_an_author_without_an_address_of_their_own_may_be_anybody(author: str) -> None:
    written = authorship(revision(commit("c", "", author, BOB)), {"here": ""})
    assert written.authors == (author, BOB)
    assert written.doubts == (f"no address to know a person by has {author}",)


@pytest.mark.parametrize(
    ("author", "session"),
    [
        (ADA, "ada"),
        (ADA, "Ada@Example.org"),
        (ADA, "ada@elsewhere.org"),
        ("ada@example.org", "ada"),
        ("First Last <first@example.org>", "first.last"),
        ("First Last <first@example.org>", "first-last@example.org"),
        ("First Last <fl@example.org>", "last_first"),
        ("First Middle Last <fl@example.org>", "first.last"),
        ("First Middle Last <fl@example.org>", "firstmiddlelast"),
        ("F <first.last@example.org>", "FirstLast"),
        ("F <last.first@example.org>", "first.last"),
        ("F <12345+first@users.noreply.github.com>", "first"),
        ("F <first+git@example.org>", "first"),
        ("J\u00f6rg M\u00fcller <jm@example.org>", "joerg.mueller"),
        ("Jo\u0308rg Mu\u0308ller <jm@example.org>", "joerg.mueller"),
        ("J\u00f6rg M\u00fcller <jm@example.org>", "jorg.muller"),
        ("Jos\u00e9 <j@example.org>", "jose"),
    ],
)
def test_knows_an_author_under_another_spelling(author: str, session: str) -> None:
    assert is_author(identify(f"{ROLE}/{session}"), author)


@pytest.mark.parametrize(
    ("author", "session"),
    [
        (ADA, "ada.byron"),
        (ADA, "lovelace"),
        (ADA, "alovelace"),
        (ADA, "lovelacea"),
        (ADA, "al"),
        (ADA, "ada2"),
        ("A <alovelace@example.org>", "ada.lovelace"),
        ("Q <queen@mail.example>", "ada@example.org"),
    ],
)
def test_cannot_tell_somebody_from_an_author_who_is_called_alike(author: str, session: str) -> None:
    voter = identify(f"{ROLE}/{session}")
    assert not is_author(voter, author)
    assert may_be_author(voter, author)


@pytest.mark.parametrize(
    ("author", "session"),
    [
        (ADA, "bob"),
        (ADA, "bob@example.org"),
        ("", "bob"),
        ("Ada <12+ada@users.noreply.github.com>", "bob@example.org"),  # a doubt from the first
        ("J. Q. <jq@example.org>", "bob.q"),
    ],
)
def test_tells_others_from_an_author(author: str, session: str) -> None:
    voter = identify(f"{ROLE}/{session}")
    assert not is_author(voter, author)
    assert not may_be_author(voter, author)
