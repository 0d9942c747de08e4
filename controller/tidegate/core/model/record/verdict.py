"""What the analysis says, with its reasons and the numbers behind it."""

from __future__ import annotations

from enum import StrEnum

from tidegate.core.model.base import Model


class Judgement(StrEnum):
    """What the analysis says, worst last."""

    HEALTHY = "healthy"
    UNDECIDED = "undecided"
    INSUFFICIENT_TRAFFIC = "insufficient-traffic"
    UNHEALTHY = "unhealthy"


class Evidence(Model):
    """One test of the analysis: how much speaks against the candidate, and how much would do.

    ``log_e`` is the natural logarithm of an e-value: were the candidate no worse, the chance that
    it ever reaches ``log_bound`` is at most ``exp(-log_bound)``.
    """

    test: str  # "errors", "latency", or the name of a metric
    log_e: float
    log_bound: float

    @property
    def reached(self) -> bool:
        """The test says that the candidate is worse."""
        return self.log_e >= self.log_bound


class Verdict(Model):
    """A judgement with its reasons and the numbers behind it."""

    judgement: Judgement
    reasons: tuple[str, ...] = ()
    stable_invocations: int = 0
    stable_errors: int = 0
    candidate_invocations: int = 0
    candidate_errors: int = 0
    probes: int = 0  # of Tidegate's own to each version, not among the requests above
    stable_probe_errors: int = 0
    candidate_probe_errors: int = 0
    evidence: tuple[Evidence, ...] = ()  # one for each test that was made
    alpha: float = 0.0  # chance of a false alarm that these tests have in all
    no_worse: bool = False  # proven: not worse by more than the margins
    excess_errors: float | None = None  # upper bound of the share of requests that it harms
    requests_per_second: float = 0.0  # of all users, as it was seen last
