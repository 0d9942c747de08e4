"""The command line. Modules are imported when a verb needs them, so that help comes at once."""

import importlib.util
import sys


def main() -> None:
    """Entry point of the ``tidegate`` command."""
    if importlib.util.find_spec("typer") is None:
        sys.exit("tidegate: the command line is not installed. Install `tidegate[cli]`.")
    from tidegate.cli.app import app

    app(prog_name="tidegate")
