"""`python -m tidegate_embedded.page`: serves the page while an embedded AWS runs that is kept."""

import argparse
from datetime import UTC, datetime

from tidegate.cli.backend import Settings, connect
from tidegate.web.server import Page, serving
from tidegate_embedded import process
from tidegate_embedded.install import CONTROLLER_STACK


def main() -> None:
    """Serve, say where on standard output, and stop with the embedded AWS or on a signal."""
    parser = argparse.ArgumentParser(prog="python -m tidegate_embedded.page", description=__doc__)
    parser.add_argument("--aws", type=int, required=True, help="process of the embedded AWS")
    options = parser.parse_args()
    stopping = process.told_to_stop()
    backend = connect(Settings(stack=CONTROLLER_STACK))
    with serving(Page(backend, lambda: datetime.now(UTC))) as server:
        print(server.address(), flush=True)  # noqa: T201
        while not stopping.wait(timeout=1) and process.alive(options.aws):
            pass


if __name__ == "__main__":
    main()
