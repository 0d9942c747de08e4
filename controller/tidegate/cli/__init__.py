"""The command line. Modules are imported when a verb needs them, so that help comes at once."""


def main() -> None:
    """Entry point of the ``tidegate`` command."""
    from tidegate.cli.app import app

    app(prog_name="tidegate")
