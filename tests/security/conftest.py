"""Attacks: each test performs one, and is named for what the attacker must not get."""

import io
import zipfile
from collections.abc import Callable

import pytest


@pytest.fixture(scope="session")
def package() -> Callable[[str], bytes]:
    """Makes a deployment package with one module `app`."""

    def make(source: str) -> bytes:
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            archive.writestr("app.py", source)
        return packed.getvalue()

    return make
