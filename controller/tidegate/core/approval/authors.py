"""Who wrote what a release brings, and whether somebody who votes may be one of them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from tidegate.core.approval.identity import Identity
from tidegate.core.model.artifact import Commit, Revision

_NO_MAILBOX: Final = re.compile(r"(?<![a-z])no-?reply(?![a-z])")
_WRITTEN_OUT: Final = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ø": "oe", "å": "aa"})
_COMMIT: Final = 7


@dataclass(frozen=True, slots=True)
class Authorship:
    """Who wrote it, as far as that is known."""

    authors: tuple[str, ...]
    doubts: tuple[str, ...]  # why others may have, or why nobody can tell who somebody is


def authorship(revision: Revision | None, live: Mapping[str, str]) -> Authorship:
    """Who wrote what this revision brings beyond what is live.

    ``live`` has the commit that each target serves, "" where nothing is live: all is new there.
    """
    known = {commit.id: commit for commit in revision.history} if revision else {}
    if revision is None or revision.commit not in known:
        authors: tuple[str, ...] = (revision.author,) if revision else ()
        return _told(authors, ["the artifact has no history of its commit"])
    new = {revision.commit: None}
    doubts: list[str] = []
    for target, commit in live.items():
        if commit and commit not in known:
            doubts.append(
                f"{target} serves commit {commit[:_COMMIT]}, which is not in the history that was"
                " built"
            )
            continue
        old = _reached(known, commit, besides=())
        since = _reached(known, revision.commit, besides=old)
        new |= dict.fromkeys(one for one in since if one in known)
        if any(one not in known for one in since):
            doubts.append(
                f"the history that was built does not go back to all that is new in {target}"
            )
    return _told((author for one in new for author in known[one].authors), doubts)


def is_author(voter: Identity, author: str) -> bool:
    """Whether an IAM identity and an author of a commit go by one name.

    Commits name people as ``Ada Lovelace <ada@example.org>``, IAM by user or session name: the name
    (in either order, however it is joined) or the address before its ``@``.
    """
    return not _names(author).isdisjoint(_names(voter.person))


def may_be_author(voter: Identity, author: str) -> bool:
    """Whether nobody could tell them apart: a part of the name, initials, or another mailbox."""
    one, other = (_words(text) for text in (voter.person, author))
    if not set(one).isdisjoint(other):
        return True
    if _initials(one) & _names(author) or _initials(other) & _names(voter.person):
        return True
    here, there = (_address(text).partition("@")[2] for text in (voter.person, author))
    return bool(here) and _has_mailbox(author) and here != there


def _told(authors: Iterable[str], doubts: Iterable[str]) -> Authorship:
    """Adds what cannot be told of the authors themselves."""
    found = tuple(dict.fromkeys(authors))
    named = tuple(author for author in found if _names(author))
    return Authorship(named, tuple(dict.fromkeys((*doubts, *_strangers(found, named)))))


def _strangers(found: Iterable[str], named: Iterable[str]) -> Iterator[str]:
    if not all(map(_names, found)):
        yield "a commit names no author"
    if unknown := [author for author in named if not _has_mailbox(author)]:
        yield f"no address to know a person by has {', '.join(unknown)}"


def _reached(known: Mapping[str, Commit], start: str, besides: Iterable[str]) -> dict[str, None]:
    """The commit and all before it, as far as they are known and not among ``besides``.

    The parents of what is known are among them even where they are not known themselves.
    """
    found: dict[str, None] = {}
    left = set(besides)
    ahead = [start] if start else []
    while ahead:
        commit = ahead.pop()
        if commit in found or commit in left:
            continue
        found[commit] = None
        if commit in known:
            ahead += known[commit].parents
    return found


def _address(text: str) -> str:
    """The address in ``Ada <ada@example.org>``, or the text itself where it is one; else ""."""
    name, _, address = text.casefold().partition("<")
    return address.strip("> ") or (name.strip() if "@" in name else "")


def _has_mailbox(author: str) -> bool:
    """It has an address that a person may have: not a machine's, nor one that hides a person's."""
    local, _, domain = _address(author).partition("@")
    return bool(local) and "." in domain and not _NO_MAILBOX.search(f"{local}@{domain}")


def _parts(text: str) -> Iterator[str]:
    """Name and address before its ``@``, whole and by what ``+`` joins, in both Latin spellings."""
    name = "" if "@" in text.partition("<")[0] else text.partition("<")[0]
    local = _address(text).partition("@")[0]
    for part in (name.casefold(), local, *local.split("+")):
        for spelled in (part, unicodedata.normalize("NFC", part).translate(_WRITTEN_OUT)):
            letters = unicodedata.normalize("NFKD", spelled)
            yield "".join(letter for letter in letters if not unicodedata.combining(letter))


def _names(text: str) -> set[str]:
    """All that somebody may be called by, without what joins the words of a name."""
    names: set[str] = set()
    for part in _parts(text):
        words = re.findall(r"[^\W_]+", part)
        ends = [words[0], words[-1]] if len(words) > 1 else words
        names |= {"".join(some) for order in (words, ends) for some in (order, order[::-1])}
    return names - {""}


def _words(text: str) -> list[str]:
    """The words of names and address that have at least two letters, in their order."""
    found = (word for part in _parts(text) for word in re.findall(r"[^\W\d_]{2,}", part))
    return list(dict.fromkeys(found))


def _initials(words: list[str]) -> set[str]:
    """Short forms: ``alovelace``, ``lovelacea``, ``adal``, ``lada``, ``al`` of ada and lovelace."""
    pairs = [(one, other) for one in words for other in words if one != other]
    return {
        short
        for one, other in pairs
        for short in (one[0] + other, other + one[0], one[0] + other[0])
    }
