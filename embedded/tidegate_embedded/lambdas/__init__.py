"""The Lambda data plane of the embedded AWS: runs function code without containers."""

import threading
from collections.abc import Callable
from typing import Final

from tidegate_embedded.cloud import Cloud
from tidegate_embedded.lambdas.api import InvokeRoute
from tidegate_embedded.lambdas.asynchronous import AsynchronousInvoker
from tidegate_embedded.lambdas.dataplane import DataPlane
from tidegate_embedded.lambdas.functions import RandomSource, default_chance
from tidegate_embedded.lambdas.internal import take_over
from tidegate_embedded.lambdas.policies import separate_policies
from tidegate_embedded.lambdas.pool import EnvironmentPool
from tidegate_embedded.lambdas.provisioned import provision
from tidegate_embedded.lambdas.runtime import RuntimeFactory
from tidegate_embedded.lambdas.validation import validate_aliases
from tidegate_embedded.patching import Patches

_REAP_SECONDS: Final = 20.0


class LambdaDataPlane:
    """Plug-in: invocations, weighted aliases, asynchronous events, per-version metrics, checks.

    Parameters
    ----------
    chance
        Decides which version of a weighted alias serves an invocation.
    """

    def __init__(self, *, chance: RandomSource | None = None) -> None:
        self._chance = chance or default_chance()

    def install(self, cloud: Cloud) -> None:
        """Take over the invocations of `cloud`."""
        factory = RuntimeFactory(cloud.state_dir / "lambda", cloud.environment)
        pool = EnvironmentPool(factory.environment)
        dataplane = DataPlane(pool)
        asynchronous = AsynchronousInvoker(
            dataplane,
            lambda service, account, region: cloud.client(service, account=account, region=region),
            delays=lambda: cloud.delays,
        )
        patches = Patches()
        take_over(patches, dataplane, asynchronous, self._chance)
        validate_aliases(patches)
        separate_policies(patches)
        provision(patches, cloud)
        cloud.add_route(InvokeRoute(dataplane, asynchronous, self._chance))
        for stop in (factory.close, pool.close, asynchronous.close, patches.undo):
            cloud.on_stop(stop)
        cloud.on_stop(_every(_REAP_SECONDS, pool.reap))


def _every(seconds: float, action: Callable[[], None]) -> Callable[[], None]:
    """Call `action` again and again, on a thread of its own, until the result is called."""
    stopping = threading.Event()

    def run() -> None:
        while not stopping.wait(seconds):
            action()

    threading.Thread(target=run, name="lambda-reaper", daemon=True).start()
    return stopping.set
