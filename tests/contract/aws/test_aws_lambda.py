"""Aliases and functions in Lambda keep the contracts of their ports."""

import hashlib
import io
import zipfile
from collections.abc import Callable
from typing import Any

import pytest
from botocore.stub import Stubber

from contract.local.lambda_functions import ROLE, Function
from contract.ports.aliases import AliasesContract
from contract.ports.capacity import CapacityContract
from contract.ports.functions import FunctionsContract
from contract.ports.stacks import Wait
from contract.ports.versions import VersionsContract
from support.capacity_time import CapacityTime
from tidegate.aws.aliases import LambdaAliases
from tidegate.aws.capacity import LambdaCapacity
from tidegate.aws.functions import TIMED_OUT, LambdaFunctions
from tidegate.aws.session import Clients, invocation
from tidegate.aws.versions import LambdaVersions
from tidegate.core.errors import NotFound, ServiceRefused, WarmUpFailed
from tidegate.core.ports import AliasRef
from tidegate_embedded.cloud import EmbeddedAws

pytestmark = pytest.mark.cloud

ECHO = "def handler(event, context): return event"
BROKEN = "def handler(event, context): raise ValueError('no database')"
SLOW = "import time\ndef handler(event, context): time.sleep(600)"
TEXT = "def handler(event, context): return event['text']"


@pytest.fixture
def make(aws: EmbeddedAws, account: str) -> Function:
    """A function with two published versions."""
    function = Function.create(aws, account, ECHO, name="greeter")
    function.publish()
    function.update(ECHO + "  # again")
    function.publish()
    return function


@pytest.fixture
def functions(clients: Clients) -> LambdaFunctions:
    return LambdaFunctions(
        clients.make("lambda"), lambda seconds: clients.make("lambda", invocation(seconds))
    )


class TestLambdaAliases(AliasesContract):
    @pytest.fixture
    def alias(self, make: Function) -> AliasRef:
        make.alias("live", "1")
        return AliasRef(make.name, "live")

    @pytest.fixture
    def aliases(self, clients: Clients) -> LambdaAliases:
        return LambdaAliases(clients.make("lambda"))

    def test_says_what_lambda_refuses(self, aliases: LambdaAliases, alias: AliasRef) -> None:
        revision = aliases.read(alias).revision

        with pytest.raises(ServiceRefused, match="greeter:live to 1 with weights"):
            aliases.write(alias, version="1", routes={"2": 1.5}, expected_revision=revision)


class TestLambdaVersions(VersionsContract):
    @pytest.fixture
    def versions(self, clients: Clients) -> LambdaVersions:
        return LambdaVersions(clients.make("lambda"))

    @pytest.fixture
    def published(self, make: Function) -> str:
        make.update(ECHO + "  # third")
        make.publish()
        make.alias("live", "1", {"2": 0.1})
        return make.name

    def test_finds_event_sources_and_permissions_that_go_past_the_alias(
        self, versions: LambdaVersions, published: str, aws: EmbeddedAws, account: str
    ) -> None:
        sqs, functions = (aws.client(name, account=account) for name in ("sqs", "lambda"))
        for name, target in (("bare", published), ("good", f"{published}:live")):
            sqs.create_queue(QueueName=name)
            functions.create_event_source_mapping(
                EventSourceArn=f"arn:aws:sqs:eu-west-1:{account}:{name}", FunctionName=target
            )
        functions.add_permission(
            FunctionName=published,
            StatementId="one",
            Action="lambda:InvokeFunction",
            Principal="s3.amazonaws.com",
        )
        functions.add_permission(
            FunctionName=published,
            Qualifier="live",
            StatementId="two",
            Action="lambda:InvokeFunction",
            Principal="apigateway.amazonaws.com",
        )

        assert versions.bypasses(published) == [
            f"the event source arn:aws:sqs:eu-west-1:{account}:bare calls it without the alias",
            "its policy lets s3.amazonaws.com call it without the alias",
        ]

    def test_each_version_has_the_digest_of_its_own_code(
        self, versions: LambdaVersions, published: str
    ) -> None:
        digests = {versions.code(published, str(number)) for number in (1, 2, 3)}
        assert len(digests) == 3

    def test_tells_what_a_version_runs_with(
        self, versions: LambdaVersions, published: str, client: Callable[[str], Any]
    ) -> None:
        content = io.BytesIO()
        with zipfile.ZipFile(content, "w") as archive:
            archive.writestr("python/shared.py", "ANSWER = 42")
        functions = client("lambda")
        layer = functions.publish_layer_version(
            LayerName="shared", Content={"ZipFile": content.getvalue()}
        )["LayerVersionArn"]
        functions.update_function_configuration(FunctionName=published, Layers=[layer])

        assert versions.layers(published, "$LATEST") == [layer]
        assert versions.layers(published, "1") == []
        digest = hashlib.sha256(content.getvalue()).hexdigest()
        assert versions.layer_code(layer) == f"sha256:{digest}"

    def test_knows_an_image_by_the_digest_that_its_tag_stood_for(self, clients: Clients) -> None:
        functions = clients.make("lambda")
        image = f"sha256:{'a' * 64}"
        with Stubber(functions) as answers:
            configuration = {"CodeSha256": "b" * 64}
            code = {"ImageUri": "repository:latest", "ResolvedImageUri": f"repository@{image}"}
            answers.add_response("get_function", {"Configuration": configuration, "Code": code})
            answers.add_response("get_function", {"Configuration": configuration})
            versions = LambdaVersions(functions)
            assert versions.code("render", "1") == image
            assert versions.code("render", "1") == f"sha256:{'b' * 64}"


class TestLambdaCapacity(CapacityContract):
    @pytest.fixture
    def capacity(self, clients: Clients) -> LambdaCapacity:
        return LambdaCapacity(clients.make("lambda"))

    @pytest.fixture
    def wait(self, wait: Wait, capacity_time: CapacityTime) -> Wait:
        """What was asked for becomes ready between two looks, and not before."""

        def wait_and_be_ready() -> None:
            wait()
            capacity_time.passes()

        return wait_and_be_ready

    @pytest.fixture
    def published(self, make: Function, capacity: LambdaCapacity, wait: Wait) -> str:
        make.update(ECHO + "  # third")
        make.publish()
        while not all(capacity.version(make.name, number).active for number in "123"):
            wait()
        make.alias("live", "1")
        make.alias("split", "1", {"2": 0.1})
        return make.name

    def test_says_what_more_than_is_reserved_would_need(
        self, capacity: LambdaCapacity, published: str, make: Function
    ) -> None:
        make.client.put_function_concurrency(FunctionName=published, ReservedConcurrentExecutions=5)
        capacity.allocate(published, "1", 3)

        with pytest.raises(WarmUpFailed, match="twice the number"):
            capacity.allocate(published, "2", 3)


class TestLambdaFunctions(FunctionsContract):
    @pytest.fixture
    def echo(self, aws: EmbeddedAws, account: str) -> str:
        return Function.create(aws, account, ECHO, name="echo").name

    @pytest.fixture
    def broken(self, aws: EmbeddedAws, account: str) -> str:
        return Function.create(aws, account, BROKEN, name="broken").name

    def test_waits_no_longer_than_it_was_told(
        self,
        functions: LambdaFunctions,
        aws: EmbeddedAws,
        account: str,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr("tidegate.aws.session._ANSWER_SECONDS", 0)
        slow = Function.create(aws, account, SLOW, name="slow", Timeout=900)

        ended = functions.invoke(slow.name, {}, 1)

        assert ended.error == TIMED_OUT
        assert ended.payload == {"errorMessage": "slow did not answer within 1 seconds."}

    def test_says_that_a_function_ran_out_of_its_own_time(
        self, functions: LambdaFunctions, aws: EmbeddedAws, account: str
    ) -> None:
        slow = Function.create(aws, account, SLOW, name="slow", Timeout=1)

        ended = functions.invoke(slow.name, {}, 20)

        assert ended.error
        assert "timed out" in ended.payload["errorMessage"]

    def test_invokes_a_version_by_its_number(
        self, functions: LambdaFunctions, make: Function
    ) -> None:
        assert functions.invoke(f"{make.arn}:2", {"a": 1}, 20).payload == {"a": 1}

    def test_marks_an_invocation_in_the_client_context(
        self, functions: LambdaFunctions, aws: EmbeddedAws, account: str
    ) -> None:
        code = "def handler(event, context): return context.client_context.custom"
        Function.create(aws, account, code, name="marked")
        mark = {"tidegate": {"probe": "hello-2"}}
        assert functions.invoke("marked", {}, 20, mark=mark).payload == mark

    def test_says_that_there_is_no_such_function(self, functions: LambdaFunctions) -> None:
        with pytest.raises(NotFound, match="invoke nothing"):
            functions.invoke("nothing", {}, 5)

    def test_finds_nothing_against_versions_alike(
        self, functions: LambdaFunctions, make: Function
    ) -> None:
        assert functions.canary_blockers(make.name, "1", "2") == []

    def test_names_what_a_weighted_alias_needs_alike(
        self, functions: LambdaFunctions, make: Function, account: str
    ) -> None:
        make.client.update_function_configuration(
            FunctionName=make.name,
            Role=f"arn:aws:iam::{account}:role/other",
            DeadLetterConfig={"TargetArn": f"arn:aws:sqs:eu-west-1:{account}:dead"},
        )
        make.update(ECHO + "  # third")
        version = make.publish()

        assert functions.canary_blockers(make.name, "1", version) == [
            f"its execution role changes from {ROLE} to arn:aws:iam::{account}:role/other",
            f"its dead-letter target changes from none to arn:aws:sqs:eu-west-1:{account}:dead",
        ]
