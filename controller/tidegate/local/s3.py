"""S3 of the embedded AWS: bucket policies hold on the local endpoint, templates set encryption."""

import contextvars
from collections.abc import Mapping
from typing import Any
from xml.etree import ElementTree as ET

from ministack.core import iam_evaluator
from ministack.services import s3
from ministack.services.cloudformation import provisioners

from tidegate.local.cloud import Cloud
from tidegate.local.patching import Patches


class S3Gaps:
    """Plug-in that mends what ministack's S3 lacks."""

    def install(self, cloud: Cloud) -> None:
        """Apply the patches, until the embedded AWS stops."""
        patches = Patches()
        patches.replace(iam_evaluator, "_request_origin", _over_tls)
        patches.replace(provisioners, "_S3_BUCKET_CONFIGURATIONS", _with_encryption)
        cloud.on_stop(patches.undo)


def _over_tls(_: object) -> contextvars.ContextVar[tuple[str, bool]]:
    """Let the loopback endpoint count as TLS, which policies rightly ask for on AWS."""
    return contextvars.ContextVar("request_origin", default=("127.0.0.1", True))


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
