"""Step Functions of the embedded AWS: moto's interpreter behind the endpoint that serves all."""

import logging
from typing import Any

from ministack.core.responses import get_account_id
from ministack.services import eventbridge

from tidegate_embedded.cloud import Cloud
from tidegate_embedded.patching import Patches
from tidegate_embedded.stepfunctions import definitions, jobs, jsonata, maps, tasks
from tidegate_embedded.stepfunctions.api import StepFunctionsApi
from tidegate_embedded.stepfunctions.clients import TaskClients
from tidegate_embedded.stepfunctions.events import StatusEvents
from tidegate_embedded.stepfunctions.resource import StateMachineResource
from tidegate_embedded.stepfunctions.store import StepFunctionsError, Store, Tokens

logger = logging.getLogger(__name__)


class StepFunctions:
    """Plug-in that serves Step Functions in place of ministack's own."""

    def install(self, cloud: Cloud) -> None:
        """Hang the API in, and teach the interpreter what it lacks."""
        logging.getLogger("moto.stepfunctions").setLevel(logging.CRITICAL)
        patches = Patches()
        events = StatusEvents()
        store = Store(on_change=events.publish)
        tokens = Tokens()
        clients = TaskClients(cloud)

        clients.install(patches)
        tokens.install(patches)
        definitions.install(patches)
        jsonata.install(patches)
        tasks.install(patches, lambda: cloud.delays)
        maps.install(patches)
        jobs.install(patches, clients, store.find_execution)
        patches.replace(
            eventbridge, "_dispatch_to_stepfunctions", lambda _original: _starter(store)
        )
        StateMachineResource(store).register()
        cloud.add_route(StepFunctionsApi(store, tokens))

        cloud.on_stop(patches.undo)
        cloud.on_stop(events.close)
        cloud.on_stop(store.stop_all)


def _starter(store: Store) -> Any:
    """What an EventBridge rule with a state machine as target does."""

    def start(arn: str, payload: str) -> None:
        try:
            if store.machine(arn).account == get_account_id():
                store.start(arn, None, payload)
        except StepFunctionsError as error:
            logger.warning("EventBridge could not start %s: %s", arn, error)

    return start
