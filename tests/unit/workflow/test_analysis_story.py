"""Whole rollouts by the analysis: adaptive weights, durations, metrics of the user."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.story import CANARY, PROD, Story
from tidegate.core.model.placeholders import physical_name
from tidegate.core.model.record import RolloutPhase, Tick
from tidegate.core.ports import MetricValue
from tidegate.core.workflow.target.context import RolloutRef

ON_1 = {"Hello": ("1", {}), "Bye": ("1", {})}
ON_2 = {"Hello": ("2", {}), "Bye": ("2", {})}
PER_MINUTE = 6000
LATENCY = "{errors: {min_samples: 20, extend: 5m}, latency: {warm_up: 2m}}"
METRIC = """
      errors: {min_samples: 20, extend: 5m}
      metrics:
        - name: dead letters
          stat:
            namespace: AWS/Lambda
            metric: DeadLetterErrors
            dimensions: {FunctionName: Hello}
          at_most: 0
          periods: 1
          missing: 0
"""


class Users:
    """They call both functions a hundred times a second; versions get what their weight says."""

    def __init__(self, story: Story) -> None:
        self.story = story
        self.failing: dict[str, float] = {}  # share of failures by version
        self.slower: dict[str, float] = {}  # by how much, by version
        story.machines.while_baking = self.serve

    def serve(self, ref: RolloutRef, seconds: int) -> None:
        rollout = self.story.rollout(ref.release.number, ref.stage, ref.target)
        self.story.seen.append((ref.target, rollout.weight))
        for shift in rollout.shifts:
            candidate = round(PER_MINUTE * rollout.weight * seconds / 60)
            shares = ((shift.candidate, candidate), (shift.stable, PER_MINUTE - candidate))
            for version, requests in shares:
                self.call(shift.function, version, requests)

    def call(self, function: str, version: str, requests: int) -> None:
        self.story.at(PROD).metrics.record(
            function,
            version,
            self.story.world.clock.now(),
            requests,
            round(requests * self.failing.get(version, 0.001)),
            [ms * self.slower.get(version, 1.0) for ms in durations(requests // 10)],
        )

    def before(self) -> None:
        """An hour of traffic on what is live."""
        for function in ("hello-prod-Hello", "hello-prod-Bye"):
            self.call(function, "1", PER_MINUTE)
        self.story.world.clock.advance(60)


def durations(count: int) -> Iterator[float]:
    return (50.0 + 100.0 * number / count for number in range(count))


def released(manifest: str) -> tuple[Story, Users]:
    story = Story(manifest)
    assert story.release("one") == "succeeded"
    users = Users(story)
    users.before()
    return story, users


@pytest.fixture
def adaptive() -> tuple[Story, Users]:
    return released(CANARY.replace("{canary: {weight: 10%, bake: 2m}}", "adaptive"))


def test_an_adaptive_rollout_begins_small_and_is_promoted_when_it_is_proven_no_worse(
    adaptive: tuple[Story, Users],
) -> None:
    story, _ = adaptive
    assert story.release("two") == "succeeded"
    assert story.serves() == ON_2
    weights = [weight for _, weight in story.seen]
    assert weights[0] < 0.1
    assert weights == sorted(weights)
    assert weights[-1] == 0.5
    last = story.rollout(2).verdict
    assert last
    assert last.no_worse


def test_an_adaptive_rollout_harms_few_before_it_goes_back(adaptive: tuple[Story, Users]) -> None:
    story, users = adaptive
    users.failing["2"] = 1.0
    assert story.release("two") == "failed"
    assert story.serves() == ON_1
    rollout = story.rollout(2)
    assert rollout.phase is RolloutPhase.RESTORED
    assert rollout.verdict
    assert rollout.verdict.candidate_errors <= 400
    assert rollout.verdict.evidence[0].reached


def test_a_slow_candidate_goes_back() -> None:
    story, users = released(
        CANARY.replace("bake: 2m", "bake: 8m").replace(
            "{errors: {min_samples: 20, extend: 5m}}", LATENCY
        )
    )
    users.slower["2"] = 1.5
    assert story.release("two") == "failed"
    assert "candidate is slower than" in story.get(2).cause
    assert story.serves() == ON_1


def test_a_candidate_as_fast_as_stable_is_promoted() -> None:
    story, _ = released(
        CANARY.replace("bake: 2m", "bake: 8m").replace(
            "{errors: {min_samples: 20, extend: 5m}}", LATENCY
        )
    )
    assert story.release("two") == "succeeded"
    assert len(story.rollout(2).before[0].edges_ms) == 5


def test_a_metric_beyond_its_bound_goes_back() -> None:
    story, _ = released(CANARY.replace("{errors: {min_samples: 20, extend: 5m}}", METRIC))
    serve = story.machines.while_baking

    def lose_messages(ref: RolloutRef, seconds: int) -> None:
        serve(ref, seconds)
        lost = MetricValue(story.world.clock.now(), 3)
        story.at(PROD).metrics.values.setdefault("dead letters", []).append(lost)

    story.machines.while_baking = lose_messages
    assert story.release("two") == "failed"
    assert "dead letters is 3, at most 0 allowed" in story.get(2).cause


def test_a_bake_by_samples_ends_with_them() -> None:
    story, _ = released(CANARY.replace("bake: 2m", "until: {samples: 1000, at_most: 30m}"))
    assert story.release("two") == "succeeded"
    ticks = [item for item in story.items(2, "TICK#prod") if isinstance(item, Tick)]
    assert [tick.action for tick in ticks] == ["set-weight", "promote"]


COMPARED = """
      errors: {min_samples: 20, extend: 5m}
      metrics:
        - name: empty answers
          compare:
            events: {namespace: Shop, metric: Empty, dimensions: {version: "{version}"}}
            of: {namespace: Shop, metric: Answers, dimensions: {version: "{version}"}}
            function: Hello
"""


def answering(empty: dict[str, int], total: int = 400) -> Story:
    """Hello counts its answers in minutes of 400 a version, so many of them empty."""
    story, _ = released(CANARY.replace("{errors: {min_samples: 20, extend: 5m}}", COMPARED))
    serve = story.machines.while_baking

    def answer(ref: RolloutRef, seconds: int) -> None:
        serve(ref, seconds)
        now = story.world.clock.now()
        for version in ("1", "2"):
            counted = {"Answers": total, "Empty": empty.get(version, 0)}
            for metric, value in counted.items():
                story.at(PROD).metrics.publish("Shop", metric, now, value, version=version)

    story.machines.while_baking = answer
    return story


def test_a_metric_that_is_worse_than_stables_goes_back() -> None:
    story = answering({"1": 2, "2": 40})
    assert story.release("two") == "failed"
    assert story.serves() == ON_1
    assert "empty answers: candidate has 40 of 400, stable 2 of 400; odds" in story.get(2).cause


def test_a_metric_as_good_as_stables_is_promoted() -> None:
    story = answering({"1": 3, "2": 2})
    assert story.release("two") == "succeeded"
    verdict = story.rollout(2).verdict
    assert verdict
    assert [one.test for one in verdict.evidence] == ["errors", "empty answers"]


def test_a_metric_that_nobody_publishes_is_not_taken_for_health() -> None:
    story = answering({}, total=0)
    assert story.release("two") == "failed"
    assert "a total of 0 of the 50" in story.get(2).cause


LETTERS = """
      errors: {min_samples: 20, extend: 5m}
      metrics:
        - name: dead letters
          stat:
            namespace: AWS/SQS
            metric: ApproximateNumberOfMessagesVisible
            dimensions: {QueueName: hello-dead}
            statistic: Maximum
          at_most: 0
          missing: 0
          or_before: true
"""


def with_letters(before: int, afterwards: int) -> Story:
    """So many dead letters lie there before the shift, and so many while the candidate serves."""
    story, _ = released(
        CANARY.replace("{errors: {min_samples: 20, extend: 5m}}", LETTERS).replace(
            "bake: 2m", "bake: 8m"
        )
    )
    serve = story.machines.while_baking

    def publish(letters: int) -> None:
        story.at(PROD).metrics.publish(
            "AWS/SQS",
            "ApproximateNumberOfMessagesVisible",
            story.world.clock.now(),
            letters,
            QueueName="hello-dead",
        )

    def lose(ref: RolloutRef, seconds: int) -> None:
        serve(ref, seconds)
        publish(afterwards)

    publish(before)
    story.world.clock.advance(120)
    story.machines.while_baking = lose
    return story


def test_new_dead_letters_go_back_without_a_bound_for_old_ones() -> None:
    story = with_letters(before=7, afterwards=9)
    assert story.release("two") == "failed"
    assert "dead letters is 9, at most 7 allowed as before the shift" in story.get(2).cause
    assert story.rollout(2).metrics_before == {"dead letters": 7}


def test_dead_letters_that_lay_there_before_are_no_fault() -> None:
    assert with_letters(before=7, afterwards=7).release("two") == "succeeded"


def test_a_queue_is_named_by_the_end_of_its_url() -> None:
    resources = {"Lost": "https://sqs.eu-west-1.amazonaws.com/333333333333/hello-Lost-1A"}
    assert physical_name("Lost", resources) == "hello-Lost-1A"
    assert physical_name("Worker", {"Worker": "hello-Worker"}) == "hello-Worker"
    assert physical_name("north", resources) == "north"
