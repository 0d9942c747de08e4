"""The manifest: what is accepted, what it means, and what is said when something is wrong."""

import re
from datetime import date, timedelta
from textwrap import dedent

import pytest
from pydantic import BaseModel, ValidationError

from tidegate.core.errors import ManifestError
from tidegate.core.model.manifest import ChecksSpec, Manifest, parse_manifest
from tidegate.core.model.manifest.messages import explain
from tidegate.core.model.plan import OnFirstFailure, TooFew, WhenNotCanaryable
from tidegate.core.model.strategy import Canary, CanaryStrategy
from tidegate.core.text.quantities import write_duration
from tidegate.core.text.yaml_document import read_yaml

WHOLE = """\
version: 1
application: shop
template: infra/template.yaml
tests:
  - name: unit
    commands: [python -m unittest discover -s tests]
    timeout: 10m
  - name: scan
    buildspec: ci/scan.yml
stages:
  - name: test
    account: "222222222222"
    regions: [eu-west-1]
    stack: shop-testing
    role: arn:aws:iam::222222222222:role/deployer
    parameters: {Stage: test, Replicas: 3, Debug: true}
    strategy: all-at-once
  - name: prod
    account: "333333333333"
    waves: [[eu-west-1], [us-east-1, ap-south-1]]
    approval: {timeout: 4h, approvers: 2, author_may_approve: false}
    strategy:
      canary: {weight: 10%, bake: 5m}
    checks:
      errors: {max_increase: 2.5%, min_samples: 200, extend: 1h30m, when_too_few: promote}
      alarms: [ShopErrors]
    hooks:
      pre_traffic: [PreTraffic]
      post_traffic: [{function: PostTraffic, timeout: 2m}]
hooks:
  pre_traffic: [Smoke]
on_first_failure: keep
when_not_canaryable: all-at-once
"""

SMALL = """\
version: 1
application: shop
stages:
  - name: test
    account: "222222222222"
    regions: [eu-west-1]
"""


def failure(text: str) -> ManifestError:
    with pytest.raises(ManifestError) as caught:
        parse_manifest(text)
    return caught.value


def failure_with(before: str, after: str, text: str = WHOLE) -> ManifestError:
    assert before in text
    return failure(text.replace(before, after))


def stage_with(lines: str) -> str:
    return SMALL + "".join(f"    {line}\n" for line in dedent(lines).strip().splitlines())


class TestWhatIsAccepted:
    def test_reads_every_key(self) -> None:
        manifest = parse_manifest(WHOLE)
        test, prod = manifest.stages
        assert manifest.application == "shop"
        assert manifest.template == "infra/template.yaml"
        assert [t.name for t in manifest.tests] == ["unit", "scan"]
        assert manifest.tests[0].timeout == timedelta(minutes=10)
        assert manifest.tests[1].buildspec == "ci/scan.yml"
        assert test.parameters == {"Stage": "test", "Replicas": "3", "Debug": "true"}
        assert test.strategy == "all-at-once"
        assert test.region_waves == (("eu-west-1",),)
        assert prod.region_waves == (("eu-west-1",), ("us-east-1", "ap-south-1"))
        assert prod.approval is not None
        assert prod.approval.timeout == timedelta(hours=4)
        assert prod.strategy == CanaryStrategy(canary=Canary(weight=0.1, bake=timedelta(minutes=5)))
        assert prod.checks.errors.max_increase == 0.025
        assert prod.checks.errors.extend == timedelta(minutes=90)
        assert prod.checks.errors.when_too_few is TooFew.PROMOTE
        assert prod.hooks.pre_traffic is not None
        assert prod.hooks.pre_traffic[0].function == "PreTraffic"
        assert prod.hooks.post_traffic is not None
        assert prod.hooks.post_traffic[0].timeout == timedelta(minutes=2)
        assert manifest.on_first_failure is OnFirstFailure.KEEP
        assert manifest.when_not_canaryable is WhenNotCanaryable.ALL_AT_ONCE

    def test_lets_a_hook_answer_later_that_shows_that_it_works(self) -> None:
        hook = "post_traffic: [{function: Load, timeout: 6h, heartbeat: 5m}]"
        manifest = parse_manifest(f"{SMALL}\nhooks: {{{hook}}}\n")
        assert manifest.hooks.post_traffic
        assert manifest.hooks.post_traffic[0].heartbeat == timedelta(minutes=5)

    @pytest.mark.parametrize(
        ("hook", "said"),
        [
            ("timeout: 16m", "a hook that may take 16m needs a `heartbeat`"),
            ("timeout: 5m, heartbeat: 5m", "shorter than the `timeout` of 5m, found 5m"),
            ("timeout: 25h, heartbeat: 5m", "from 1s to 24h"),
        ],
    )
    def test_refuses_a_hook_that_could_be_waited_for_in_vain(self, hook: str, said: str) -> None:
        with pytest.raises(ManifestError, match=re.escape(said)):
            parse_manifest(f"{SMALL}\nhooks: {{pre_traffic: [{{function: Load, {hook}}}]}}\n")

    def test_fills_in_the_defaults(self) -> None:
        manifest = parse_manifest(SMALL)
        assert manifest.template == "template.yaml"
        assert manifest.tests == ()
        assert manifest.stages[0].approval is None
        assert manifest.stages[0].strategy is None
        assert manifest.stages[0].checks.errors.min_samples == 50
        assert manifest.on_first_failure is OnFirstFailure.DELETE

    @pytest.mark.parametrize("text", [WHOLE, SMALL])
    def test_survives_being_stored_as_json(self, text: str) -> None:
        manifest = parse_manifest(text)
        assert Manifest.model_validate(manifest.model_dump(mode="json")) == manifest
        assert Manifest.model_validate_json(manifest.model_dump_json()) == manifest
        assert Manifest.model_validate(dict(manifest)) == manifest

    def test_asks_for_approval_with_the_defaults_when_it_is_true(self) -> None:
        approval = parse_manifest(stage_with("approval: true")).stages[0].approval
        assert approval is not None
        assert approval.approvers == 1

    def test_asks_for_no_approval_when_it_is_false(self) -> None:
        assert parse_manifest(stage_with("approval: false")).stages[0].approval is None

    def test_takes_values_shared_by_anchors_and_merges(self) -> None:
        manifest = parse_manifest(
            SMALL.replace("  - name: test", "  - &base\n    name: test")
            + "  - <<: *base\n    name: prod\n"
        )
        assert [stage.account for stage in manifest.stages] == ["222222222222"] * 2

    def test_takes_a_truth_value_that_has_an_anchor(self) -> None:
        stage = parse_manifest(stage_with("approval: &ask true")).stages[0]
        assert stage.approval is not None

    @pytest.mark.parametrize("timeout", ["5m", "36h"])
    def test_takes_the_shortest_and_the_longest_timeout(self, timeout: str) -> None:
        (test, _) = parse_manifest(WHOLE.replace("10m", timeout)).tests
        assert write_duration(test.timeout) in {"5m", "1d12h"}

    def test_takes_numbers_as_parameters(self) -> None:
        stage = parse_manifest(stage_with("parameters: {Share: 0.5, Count: 7}")).stages[0]
        assert stage.parameters == {"Share": "0.5", "Count": "7"}


class TestWhereAndWhatIsWrong:
    """Line, key, what was found, and the remedy."""

    @pytest.mark.parametrize(
        ("before", "after", "place", "words"),
        [
            ("timeout: 10m", "timeuot: 10m", "7: tests[0].timeuot", ("no such key", "`timeout`")),
            ("canary:", "canry:", "22: stages[1].strategy", ('"canry"', '"canary"')),
            (
                "strategy: all-at-once",
                "strategy: all-at-onec",
                "17: stages[0].strategy",
                ('"all-at-onec"', "Did you"),
            ),
            ("version: 1", "version: 2", "1: version", ("expected 1, found 2",)),
            ("application: shop", "application: My_Shop", "2: application", ('"My_Shop"',)),
            ("name: unit", "name: Unit Tests", "5: tests[0].name", ('"Unit Tests"',)),
            ("name: prod", "name: 7", "18: stages[1].name", ("a text, found 7",)),
            ("timeout: 10m", "timeout: 1m", "7: tests[0].timeout", ("5m to 36h, found 1m",)),
            ("timeout: 4h", "timeout: soon", "21: stages[1].approval.timeout", ('"soon"',)),
            (
                "timeout: 4h",
                "timeout: 30d",
                "21: stages[1].approval.timeout",
                ("longer than 7d", "pipe"),
            ),
            (
                "weight: 10%",
                "weight: 10",
                "23: stages[1].strategy.canary.weight",
                ("found 10", "10%"),
            ),
            ("weight: 10%", "weight: 0%", "23: stages[1].strategy.canary.weight", ("found 0%",)),
            ("weight: 10%", "weight: a lot", "23: stages[1].strategy.canary.weight", ("a lot",)),
            (
                "10%, bake",
                "100%, bake",
                "23: stages[1].strategy.canary",
                ("below 100%", "all-at-once"),
            ),
            (
                "min_samples: 200",
                "min_samples: 0",
                "25: stages[1].checks.errors.min_samples",
                ("at least 1",),
            ),
            (
                "approvers: 2",
                "approvers: 2.5",
                "21: stages[1].approval.approvers",
                ("whole number",),
            ),
            (
                "author_may_approve: false",
                "author_may_approve: 9",
                "21: stages[1].approval.author_may_approve",
                ("true or false",),
            ),
            (
                "[ShopErrors]",
                "ShopErrors",
                "26: stages[1].checks.alarms",
                ('a list, found "ShopErrors"',),
            ),
            (
                "[PreTraffic]",
                "[A, A]",
                "28: stages[1].hooks.pre_traffic[1]",
                ('two hooks called "A"',),
            ),
            ("[PreTraffic]", "['']", "28: stages[1].hooks.pre_traffic[0]", ("not empty",)),
            (
                "role: arn:aws:iam::222222222222:role/deployer",
                "role: deployer",
                "15: stages[0].role",
                ("ARN",),
            ),
            ("stack: shop-testing", "stack: shop_testing", "14: stages[0].stack", ("stack name",)),
            (
                "[eu-west-1]\n    stack",
                "[Ireland]\n    stack",
                "13: stages[0].regions[0]",
                ('"Ireland"',),
            ),
            ("Stage: test", "The Stage: test", "16: stages[0].parameters.The Stage", ("letters",)),
            ("Stage: test", "Stage: [a]", "16: stages[0].parameters.Stage", ("found a list of 1",)),
            ("Stage: test", "Stage: ", "16: stages[0].parameters.Stage", ("found nothing",)),
            (
                "infra/template.yaml",
                "../template.yaml",
                "3: template",
                ("inside the repository", "relative"),
            ),
            (
                "infra/template.yaml",
                "/template.yaml",
                "3: template",
                ("inside the repository", "relative"),
            ),
            (
                "on_first_failure: keep",
                "on_first_failure: cry",
                "32: on_first_failure",
                ("'delete' or 'keep'",),
            ),
            (
                "name: scan",
                "name: unit",
                "8: tests[1].name",
                ('two tests called "unit"', "its own"),
            ),
            (
                "name: prod",
                "name: test",
                "18: stages[1].name",
                ('two stages called "test"', "its own"),
            ),
            ("buildspec: ci/scan.yml", "timeout: 5m", "8: tests[1]", ("found neither", "commands")),
            (
                "[us-east-1, ap-south-1]",
                "[eu-west-1]",
                "20: stages[1].waves[1][0]",
                ("two regions", "once"),
            ),
            (
                "waves: [[eu-west-1], [us-east-1, ap-south-1]]",
                "regions: [eu-west-1]\n    waves: [[eu-west-1]]",
                "18: stages[1]",
                ("found both", "waves"),
            ),
        ],
    )
    def test_says_it(self, before: str, after: str, place: str, words: tuple[str, ...]) -> None:
        error = failure_with(before, after)
        assert str(error).startswith(f"tidegate.yaml:{place}: ")
        for part in words:
            assert part in str(error)
        assert error.others == ()

    def test_proposes_the_account_in_quotes_with_its_leading_zeros(self) -> None:
        error = failure_with('"222222222222"', "012345678901")
        assert error.key == "stages[0].account"
        assert 'Write "012345678901"' in error.remedy

    def test_does_not_take_a_truth_value_for_an_account(self) -> None:
        assert "found true" in failure_with('"222222222222"', "true").message

    def test_misses_the_account_at_the_line_of_its_stage(self) -> None:
        error = failure(SMALL.replace('    account: "222222222222"\n', ""))
        assert (error.line, error.key) == (4, "stages[0].account")
        assert "missing" in error.message
        assert "Add `account: ...`" in error.remedy

    def test_misses_the_regions_of_a_stage(self) -> None:
        error = failure(SMALL.replace("    regions: [eu-west-1]\n", ""))
        assert "found neither" in error.message

    def test_wants_at_least_one_stage(self) -> None:
        error = failure("version: 1\napplication: shop\nstages: []\n")
        assert (error.line, error.key) == (3, "stages")
        assert error.message == "expected a list of at least 1, found an empty list."

    def test_wants_a_mapping_where_a_mapping_belongs(self) -> None:
        error = failure("version: 1\napplication: shop\nstages: [test]\n")
        assert error.message == 'expected a mapping, found "test".'

    def test_says_when_it_found_a_mapping(self) -> None:
        assert failure_with("timeout: 10m", "timeout: {m: 10}").message.endswith("found a mapping.")

    def test_an_error_without_words_of_its_own_keeps_those_of_the_validator(self) -> None:
        class Calendar(BaseModel):
            day: date

        document = read_yaml("\nday: never\n", "calendar.yaml")
        with pytest.raises(ValidationError) as caught:
            Calendar.model_validate(document.data)
        (error,) = explain(caught.value, document, Calendar)
        assert str(error).startswith("calendar.yaml:2: day: Input should be a valid date")
        assert error.message.endswith('found "never".')

    def test_does_not_print_a_whole_novel(self) -> None:
        assert len(failure_with("name: unit", f"name: {'x' * 5000}").message) < 200

    def test_lists_all_others_after_the_first_in_the_order_of_lines(self) -> None:
        error = failure(
            WHOLE.replace("version: 1", "version: 3")
            .replace("weight: 10%", "weight: 10")
            .replace("name: unit", "nmae: unit")
        )
        assert error.key == "version"
        assert [other.key for other in error.others] == [
            "tests[0].nmae",
            "tests[0].name",
            "stages[1].strategy.canary.weight",
        ]
        first, *rest = str(error).splitlines()
        assert first.startswith("tidegate.yaml:1: version: expected 1, found 3.")
        assert len(rest) == 3

    def test_names_the_file_that_was_given(self) -> None:
        with pytest.raises(ManifestError, match=r"^shop/tidegate\.yaml:1: "):
            parse_manifest("version: 9", "shop/tidegate.yaml")

    def test_suggests_nothing_for_a_key_that_is_like_no_other(self) -> None:
        error = failure("zzzzzz: 1\n" + SMALL)
        assert error.remedy.startswith("Known keys here: version, application")

    def test_knows_the_keys_of_the_strategy_that_is_used(self) -> None:
        error = failure(stage_with("strategy: {linear: {step: 10%, every: 1m, bake: 1m}}"))
        assert error.key == "stages[0].strategy.linear.bake"
        assert error.remedy == "Known keys here: step, every."


class TestStrategies:
    @pytest.mark.parametrize(
        ("strategy", "key", "words"),
        [
            (
                "{steps: [{weight: 50%, bake: 1m}, {weight: 5%, bake: 1m}]}",
                ".steps[1].weight",
                "5% comes after 50%",
            ),
            (
                "{steps: [{weight: 5%, bake: 1m}, {weight: 5%, bake: 1m}]}",
                ".steps[1].weight",
                "must rise",
            ),
            ("{steps: []}", ".steps", "at least 1"),
            ("{exponential: {start: 20%, every: 1m, up_to: 10%}}", ".exponential", "below start"),
            (
                "{exponential: {start: 20%, every: 1m, factor: .nan}}",
                ".exponential.factor",
                "finite",
            ),
            (
                "{exponential: {start: 20%, every: 1m, factor: 1}}",
                ".exponential.factor",
                "at least 1.1",
            ),
            ("{linear: {step: 0.5%, every: 1m}}", ".linear.step", "from 1% to 100%, found 0.5%"),
            (
                "{canary: {weight: 5%, bake: 1m}, linear: {step: 5%, every: 1m}}",
                "",
                "exactly one of",
            ),
            ("canary", "", "needs its settings"),
            ("[canary]", "", "expected the name of a strategy"),
            ("{canary: 10%}", ".canary", "a mapping"),
        ],
    )
    def test_says_what_is_wrong(self, strategy: str, key: str, words: str) -> None:
        error = failure(stage_with(f"strategy: {strategy}"))
        assert error.line == 7
        assert error.key == f"stages[0].strategy{key}"
        assert words in error.message

    def test_lists_the_strategies_there_are(self) -> None:
        remedy = failure(stage_with("strategy: blue-green")).remedy
        assert "canary, linear, exponential, steps" in remedy
        assert "Canary10Percent5Minutes" in remedy


class TestYaml:
    @pytest.mark.parametrize(
        ("text", "line", "words", "remedy"),
        [
            ("", 1, "the file is empty", "version: 1"),
            ("# nothing\n", 1, "the file is empty", "version: 1"),
            ("- version\n", 1, "expected a mapping, found a list of 1", "version: 1"),
            ("tidegate\n", 1, 'expected a mapping, found "tidegate"', "version: 1"),
            ("version: 1\nversion: 1\n", 2, 'duplicate key "version"', "Remove one"),
            ("version: 1\n\tapplication: shop\n", 2, "cannot start any token", "spaces"),
            ("version: 1\nstages: [\n", 3, "not YAML", "brackets"),
            ("version: 1\napplication: a: b\n", 2, "not YAML", "quotes"),
            ("version: 1\n---\nversion: 1\n", 2, "not YAML", "one document"),
            ("version: 1\n7: x\n", 2, "expected a text as key, found 7", "quotes"),
            ("version: 1\napplication: !Ref Name\n", 2, "the tag !Ref means nothing", "Remove"),
            ("version: 1\nstages: !Seq [a]\n", 2, "the tag !Seq means nothing", "Remove"),
            ('version: 1\napplication: "\\ud83d\\ude00"\n', 2, "surrogate", "character itself"),
            ('version: 1\nhooks: {"\\ud83d": 1}\n', 2, "surrogate", "character itself"),
            ('"\\ud83d": 1\n"\\ud83d": 2\n', 2, 'duplicate key "?"', "Remove one"),
            ("version: \x00\n", 0, "not YAML", ""),
            ("&a\nversion: *a\n", 2, "nested too deeply", ""),
            ("version: " + "[" * 400, 1, "not YAML", "brackets"),
        ],
    )
    def test_that_is_no_manifest(self, text: str, line: int, words: str, remedy: str) -> None:
        error = failure(text)
        assert error.line == line
        assert words in error.message
        assert remedy in error.remedy

    @pytest.mark.parametrize("number", ["0x" + "f" * 41, "9" * 5000, "1" * 41])
    def test_a_number_has_an_end(self, number: str) -> None:
        error = failure(f"version: 1\napplication: {number}\n")
        assert error.line == 2
        assert str(error).endswith("more than 40 digits. Put it in quotes if it is a text.")

    def test_a_file_has_an_end(self) -> None:
        assert "300,001 characters, and at most 300,000 are read" in str(failure("#" * 300_001))

    @pytest.mark.parametrize(("levels", "words"), [(20, "expected 1"), (21, "nested too deeply")])
    def test_that_is_nested(self, levels: int, words: str) -> None:
        assert words in failure("version: " + "[" * levels + "]" * levels).message

    def test_that_repeats_itself_without_end(self) -> None:
        bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
        bomb += "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 9))
        assert "repeats itself" in failure(bomb).message


class TestAnalysisChecks:
    STAGE = 'version: 1\napplication: shop\nstages:\n  - name: prod\n    account: "333333333333"\n'
    CHECKS = STAGE + "    regions: [eu-west-1]\n    checks: "

    @pytest.mark.parametrize(
        ("metric", "said"),
        [
            ("{name: m, at_most: 1}", "expected one of `compare`, `stat` and `expression`"),
            ("{name: m, expression: a, at_most: 1}", "`expression` and `stats` belong together"),
            ("{name: m, stat: {namespace: S, metric: M}}", "m has no bound"),
        ],
    )
    def test_a_metric_needs_its_parts(self, metric: str, said: str) -> None:
        with pytest.raises(ManifestError, match=said):
            parse_manifest(f"{self.CHECKS}{{metrics: [{metric}]}}\n")

    @pytest.mark.parametrize(
        ("compare", "said"),
        [
            ("{}", "events"),
            ("{events: {namespace: S, metric: M, dimensions: {v: x}}}", "tells stable and candid"),
            (
                "{events: {namespace: S, metric: M, dimensions: {v: '{verion}'}}}",
                'there is no placeholder "verion". There are {function}, {alias}, {version}.',
            ),
            (
                "{events: {namespace: S, metric: M, dimensions: {v: '{version}'}, statistic: p99}}",
                "'Sum' or 'SampleCount'",
            ),
        ],
    )
    def test_a_comparison_needs_counts_by_version(self, compare: str, said: str) -> None:
        with pytest.raises(ManifestError) as refused:
            parse_manifest(f"{self.CHECKS}{{metrics: [{{name: m, compare: {compare}}}]}}\n")
        assert said in str(refused.value)

    COMPARED = "compare: {events: {namespace: S, metric: M, dimensions: {v: '{version}'}}}"

    def test_a_comparison_has_no_bound(self) -> None:
        with pytest.raises(ManifestError, match="`compare` and `at_most` do not go together"):
            parse_manifest(
                f"{self.CHECKS}{{metrics: [{{name: m, {self.COMPARED}, at_most: 1}}]}}\n"
            )

    def test_metrics_have_names_of_their_own(self) -> None:
        metric = f"{{name: m, {self.COMPARED}}}"
        with pytest.raises(ManifestError, match='there are two metrics called "m"'):
            parse_manifest(f"{self.CHECKS}{{metrics: [{metric}, {metric}]}}\n")

    def test_a_false_alarm_may_not_be_likely(self) -> None:
        with pytest.raises(ManifestError, match=r"expected a share from 0.0001% to 20%"):
            parse_manifest(f"{self.CHECKS}{{alpha: 50%}}\n")

    def test_all_of_them(self) -> None:
        metric = "{name: m, expression: a / b, stats: {a: {namespace: S, metric: A}}, at_least: 1}"
        text = f"{self.CHECKS}{{latency: {{}}, alpha: 0.1%, metrics: [{metric}]}}\n"
        checks = parse_manifest(text).stages[0].checks
        assert checks.alpha == 0.001
        assert checks.latency
        assert checks.latency.tolerance == 0.1
        assert checks.metrics[0].stats["a"].statistic == "Sum"


@pytest.mark.parametrize(
    ("word", "means"),
    [
        ("restore", TooFew.RESTORE),
        ("extend", TooFew.RESTORE),
        ("promote", TooFew.PROMOTE),
        ("promote-after-hooks", TooFew.PROMOTE),
        ("hold", TooFew.HOLD),
    ],
)
def test_too_few_requests_have_a_policy_by_either_name(word: str, means: TooFew) -> None:
    checks = {"errors": {"when_too_few": word}}
    assert ChecksSpec.model_validate(checks).errors.when_too_few is means


@pytest.mark.parametrize(
    ("errors", "message"),
    [
        ({"when_too_few": "probe"}, "belong together"),
        ({"probe": {"payloads": {"F": [{}]}}}, "belong together"),
        ({"when_too_few": "probe", "probe": {}}, "found neither"),
        (
            {"when_too_few": "probe", "probe": {"payloads": {"F": [1]}, "function": "G"}},
            "found both",
        ),
        ({"when_too_few": "probe", "probe": {"payloads": {"F": []}}}, "F has no payload"),
    ],
)
def test_probes_are_whole_or_not_there(errors: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        ChecksSpec.model_validate({"errors": errors})
