"""Hands the address of the page to a browser without showing the key to other users.

What a process is started with, everybody on the machine can read (`ps`). So the browser is given a
file that only its user can read, which leads it on; it goes once the page has been asked.
"""

from __future__ import annotations

import html
import tempfile
from pathlib import Path
from typing import Final

_LEADS_ON: Final = """\
<!doctype html>
<meta charset="utf-8">
<meta name="referrer" content="no-referrer">
<meta http-equiv="refresh" content="0; url={address}">
<title>Tidegate</title>
"""


class Handover:
    """A file with mode 0600 that leads to an address, until it is closed."""

    def __init__(self) -> None:
        self._path: Path | None = None

    def lead_to(self, address: str) -> str:
        """Write the file; what to open in the browser. Raises ``OSError``.

        It is in the home folder: browsers that come as snaps see neither the temporary folder nor
        hidden ones.
        """
        descriptor, name = tempfile.mkstemp(
            prefix="tidegate-dashboard-", suffix=".html", dir=Path.home()
        )
        self._path = Path(name)
        with open(descriptor, "w", encoding="utf-8") as file:  # noqa: PTH123 - a descriptor
            file.write(_LEADS_ON.format(address=html.escape(address)))
        return self._path.as_uri()

    def close(self) -> None:
        """Remove the file, if it is there still."""
        if self._path is not None:
            self._path.unlink(missing_ok=True)
