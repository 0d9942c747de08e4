"""Stories begin before the first release, or with one that is live."""

from __future__ import annotations

import pytest

from support.story import Story


@pytest.fixture
def story() -> Story:
    """Nothing has been released yet."""
    return Story()


@pytest.fixture
def live(story: Story) -> Story:
    """The first release is live in every stage."""
    assert story.release("one") == "succeeded"
    story.seen.clear()
    return story
