"""Characters that do something to a terminal are shown, or refused where they come in."""

import pytest

from tidegate.core.errors import InputError
from tidegate.core.text.plaintext import require_plain, visible


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Füge 日本 \U0001f680 hinzu", "Füge 日本 \U0001f680 hinzu"),
        ("a\tb", "a\tb"),
        ("a\nb\rc", r"a\nb\rc"),
        ("\x1b[2J", r"\x1b[2J"),
        ("\x9b2J\x7f", r"\x9b2J\x7f"),
        ("a\u202eb\u2066c\u200f", r"a\u202eb\u2066c\u200f"),
        ("a\u2028b\x85c", r"a\u2028b\x85c"),
    ],
    ids=["letters", "tab", "lines", "escape", "c1", "direction", "separators"],
)
def test_only_what_does_something_is_shown_as_its_code(text: str, shown: str) -> None:
    assert visible(text) == shown
    assert visible(shown) == shown


def test_what_others_wrote_is_refused_by_name() -> None:
    fields = {"commit": "c0ffee", "buckets": {}, "subject": "ok\x1b[2J"}
    with pytest.raises(InputError, match=r"release\.json: subject: .* control character .*\\x1b\."):
        require_plain("release.json", fields)
    require_plain("release.json", {**fields, "subject": "ok"})
