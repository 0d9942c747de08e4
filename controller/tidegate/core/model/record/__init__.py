"""The record: what is kept of every release, item by item, and where each item lies.

Items live in one table (``item``). Of a release: ``release``, ``stage``, ``approval``, ``rollout``,
``stack_log``, ``tick``, ``hook``, ``operator``. Of a target: ``live``. How things stand:
``phases``, ``verdict``.
"""

from tidegate.core.model.record.approval import Approval, Decision, Token, Vote
from tidegate.core.model.record.hook import HookLog, HookRun, Notification
from tidegate.core.model.record.item import (
    Item,
    application_partition,
    parse_item,
    release_partition,
    token_partition,
)
from tidegate.core.model.record.live import Live, PrunedFunction, Pruning
from tidegate.core.model.record.operator import AuditEntry, Call, OperatorRequest
from tidegate.core.model.record.phases import Outcome, ReleasePhase, RolloutPhase, StagePhase
from tidegate.core.model.record.release import (
    Application,
    Execution,
    Lender,
    Lock,
    Plan,
    Release,
    TestRun,
    TrafficRollback,
    Waiter,
)
from tidegate.core.model.record.rollout import Probed, Restored, Rollout, ServedBefore, Shift, Warm
from tidegate.core.model.record.stack_log import StackLine, StackLog
from tidegate.core.model.record.stage import (
    ChangeLine,
    FunctionLine,
    ParameterLine,
    Preview,
    SecurityLine,
    Stage,
    WarmLine,
)
from tidegate.core.model.record.tick import (
    ComparedSeen,
    MetricSeen,
    PairSeen,
    RequestSeen,
    Seen,
    Tick,
)
from tidegate.core.model.record.verdict import Evidence, Judgement, Verdict

__all__ = [
    "Application",
    "Approval",
    "AuditEntry",
    "Call",
    "ChangeLine",
    "ComparedSeen",
    "Decision",
    "Evidence",
    "Execution",
    "FunctionLine",
    "HookLog",
    "HookRun",
    "Item",
    "Judgement",
    "Lender",
    "Live",
    "Lock",
    "MetricSeen",
    "Notification",
    "OperatorRequest",
    "Outcome",
    "PairSeen",
    "ParameterLine",
    "Plan",
    "Preview",
    "Probed",
    "PrunedFunction",
    "Pruning",
    "Release",
    "ReleasePhase",
    "RequestSeen",
    "Restored",
    "Rollout",
    "RolloutPhase",
    "SecurityLine",
    "Seen",
    "ServedBefore",
    "Shift",
    "StackLine",
    "StackLog",
    "Stage",
    "StagePhase",
    "TestRun",
    "Tick",
    "Token",
    "TrafficRollback",
    "Verdict",
    "Vote",
    "Waiter",
    "Warm",
    "WarmLine",
    "application_partition",
    "parse_item",
    "release_partition",
    "token_partition",
]
