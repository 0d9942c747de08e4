"""Lets executions into the stages of their pipeline as the execution mode says."""

import threading

from tidegate_embedded.codepipeline.records import Execution


class Gate:
    """The stages of one pipeline.

    A stage holds one execution at a time. Those that arrive meanwhile wait in order (QUEUED), or
    each replaces the one that waits (SUPERSEDED). PARALLEL executions do not meet.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._inside: dict[str, Execution] = {}
        self._waiting: dict[str, list[Execution]] = {}

    def arrive(self, execution: Execution, stage: str) -> None:
        """Stand before a stage. Arrive before leaving the last one, so that nobody overtakes."""
        if execution.mode == "PARALLEL":
            return
        with self._changed:
            queue = self._waiting.setdefault(stage, [])
            if execution.mode == "SUPERSEDED":
                for older in queue:
                    older.is_superseded = True
                queue.clear()
            queue.append(execution)
            self._changed.notify_all()

    def enter(self, execution: Execution, stage: str) -> bool:
        """Wait until the stage is free; false if the execution was superseded or stopped."""
        if execution.mode == "PARALLEL":
            return not execution.stopping.is_set()
        with self._changed:
            self._changed.wait_for(
                lambda: self._is_over(execution) or self._is_next(execution, stage)
            )
            queue = self._waiting[stage]
            if execution in queue:
                queue.remove(execution)
            self._changed.notify_all()
            if self._is_over(execution):
                return False
            self._inside[stage] = execution
            return True

    def leave(self, execution: Execution, stage: str) -> None:
        """Make room for the next."""
        with self._changed:
            if self._inside.get(stage) is execution:
                del self._inside[stage]
            self._changed.notify_all()

    def wake(self) -> None:
        """Let those that wait look at their flags."""
        with self._changed:
            self._changed.notify_all()

    def waiting(self, stage: str) -> list[Execution]:
        """The executions that stand before a stage, in order."""
        with self._changed:
            return list(self._waiting.get(stage, []))

    @staticmethod
    def _is_over(execution: Execution) -> bool:
        return execution.is_superseded or execution.stopping.is_set()

    def _is_next(self, execution: Execution, stage: str) -> bool:
        return stage not in self._inside and self._waiting[stage][:1] == [execution]
