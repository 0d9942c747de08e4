"""S3 of the embedded AWS: policies, reads across accounts, and encryption as AWS has them."""

import contextvars
import re
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import ParseResult
from xml.etree import ElementTree as ET

from ministack.core import iam_actions, iam_evaluator
from ministack.core.responses import get_account_id, get_region, request_scope
from ministack.services import s3
from ministack.services.cloudformation import helpers, provisioners

from tidegate_embedded.cloud import Cloud
from tidegate_embedded.patching import Patches

_BUCKET_HOST: Final = re.compile(r"(?P<bucket>.+)\.s3[.-][a-z0-9.-]*amazonaws\.com")


class S3Gaps:
    """Plug-in that mends what ministack's S3 lacks."""

    def install(self, cloud: Cloud) -> None:
        """Apply the patches, until the embedded AWS stops."""
        patches = Patches()
        patches.replace(iam_evaluator, "_request_origin", _over_tls)
        patches.replace(s3, "_get_object_data", _from_other_accounts)
        patches.replace(s3, "_verify_presigned_sigv4", lambda _own: _verified_already)
        patches.replace(helpers, "urlparse", _with_bucket_in_path)
        patches.replace(provisioners, "_S3_BUCKET_CONFIGURATIONS", _with_encryption)
        for write in ("_put_object", "_copy_object", "_complete_multipart_upload"):
            patches.replace(s3, write, _as_the_policy_allows)
        cloud.on_stop(patches.undo)


def _over_tls(_: object) -> contextvars.ContextVar[tuple[str, bool]]:
    """Let the loopback endpoint count as TLS, which policies rightly ask for on AWS."""
    return contextvars.ContextVar("request_origin", default=("127.0.0.1", True))


def _from_other_accounts(get: Callable[..., bytes | None]) -> Callable[..., bytes | None]:
    """Let CloudFormation and Lambda read from another account's bucket, if its policy allows."""

    def get_object_data(bucket: str, key: str, version_id: str | None = None) -> bytes | None:
        owner, caller = s3._bucket_owner_account(bucket), get_account_id()
        if owner in {None, caller}:
            return get(bucket, key, version_id)
        if not s3._foreign_bucket_allows(owner, bucket, key, "GET", {}, caller):
            return None
        with request_scope(owner, get_region()):
            return get(bucket, key, version_id)

    return get_object_data


def _as_the_policy_allows(write: Callable[..., Any]) -> Callable[..., Any]:
    """Let a bucket policy deny that an object is created, by its headers, as AWS documents it.

    The emulator asks policies only for other accounts, and does not know the keys of conditional
    writes: `s3:if-none-match`, `s3:if-match` and `s3:ObjectCreationOperation`.
    """

    def create(bucket: str, key: str, *rest: Any) -> Any:
        if _denied(bucket, key, rest[-1] or {}):
            return s3._error("AccessDenied", "Access Denied", 403, f"/{bucket}/{key}")
        return write(bucket, key, *rest)

    return create


def _denied(bucket: str, key: str, headers: Mapping[str, str]) -> bool:
    account = get_account_id()
    context = iam_actions.s3_service_context("s3:PutObject", {}, f"/{bucket}/{key}", dict(headers))
    context["s3:ObjectCreationOperation"] = "true"
    for name in ("if-match", "if-none-match"):
        if name in headers:
            context[f"s3:{name}"] = headers[name]
    request = iam_evaluator.EvalContext(
        principal_arn=f"arn:aws:iam::{account}:root",
        principal_type="Root",
        principal_account=account,
        action="s3:PutObject",
        resource_arn=f"arn:aws:s3:::{bucket}/{key}",
        region=get_region(),
        service_context={name.lower(): value for name, value in context.items()},
    )
    policy = s3._bucket_policies.get(bucket)
    return bool(iam_evaluator.evaluate_resource_policy(policy, request).decision == "Deny")


def _verified_already(*_request: object) -> None:
    """Presigned addresses come this far only when `signatures` found nothing wrong with them."""


def _with_bucket_in_path(parse: Callable[[str], ParseResult]) -> Callable[[str], ParseResult]:
    """Let template URLs name the bucket in the host, as AWS's own do: ministack reads the path."""

    def parse_url(url: str) -> ParseResult:
        parsed = parse(url)
        host = _BUCKET_HOST.match(parsed.netloc)
        return parsed._replace(path=f"/{host['bucket']}{parsed.path}") if host else parsed

    return parse_url


def _with_encryption(configurations: Any) -> Any:
    """Let CloudFormation set the default encryption of a bucket, which ministack leaves out."""
    handlers = ("BucketEncryption", _encryption_xml, s3._put_bucket_encryption)
    return (*configurations, (*handlers, s3._delete_bucket_encryption))


def _encryption_xml(properties: Mapping[str, Any]) -> bytes:
    """The body of PutBucketEncryption for the property of `AWS::S3::Bucket`."""
    root = ET.Element("ServerSideEncryptionConfiguration", xmlns=s3.S3_NS)
    for declared in properties["ServerSideEncryptionConfiguration"]:
        rule = ET.SubElement(root, "Rule")
        default = ET.SubElement(rule, "ApplyServerSideEncryptionByDefault")
        for name, value in declared["ServerSideEncryptionByDefault"].items():
            ET.SubElement(default, name).text = str(value)
        if "BucketKeyEnabled" in declared:
            ET.SubElement(rule, "BucketKeyEnabled").text = str(declared["BucketKeyEnabled"]).lower()
    return ET.tostring(root)
