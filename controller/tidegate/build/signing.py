"""Packages that AWS Signer signs, for functions whose code signing configuration refuses others.

Signer takes a version of an object and writes another object ("StartSigningJob", AWS Signer API
Reference). Both lie under the prefix of what the pipeline forgets; the signed bytes become the
package, and are named and compared as any other.
"""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from botocore.exceptions import BotoCoreError, ClientError, WaiterError

from tidegate.build.package import sha256_of
from tidegate.build.sending import send
from tidegate.core.errors import ArtifactError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_signer import SignerClient
    from mypy_boto3_signer.type_defs import WaiterConfigTypeDef

_PATIENCE: Final[WaiterConfigTypeDef] = {"Delay": 2, "MaxAttempts": 150}  # seconds
_REMEDY: Final = (
    "See that the profile is active, for AWSLambda-SHA384-ECDSA and in the bucket's region, and"
    " that the build may use it (SigningProfileName of pipeline/template.yaml)."
)


@dataclass(frozen=True, slots=True)
class PackageSigner:
    """Signs with one profile. The same bytes give the same job, and so the same signature."""

    signer: SignerClient
    s3: S3Client
    bucket: str
    profile: str

    def sign(self, application: str, package: Path) -> None:
        """Put the signed package in the place of the file. Raises ``ArtifactError``."""
        folder = f"{application}/signing"
        key = f"{folder}/{sha256_of(package)}.zip"
        version = send(package, self.bucket, key, self.s3)
        try:
            signed = self._signed(folder, key, version)
            with package.open("wb") as file:
                shutil.copyfileobj(self.s3.get_object(Bucket=self.bucket, Key=signed)["Body"], file)
        except (BotoCoreError, ClientError) as error:
            raise ArtifactError(
                f"s3://{self.bucket}/{key} was not signed with {self.profile}: {error}",
                remedy=_REMEDY,
            ) from error

    def _signed(self, folder: str, key: str, version: str) -> str:
        """The key of the signed object."""
        token = hashlib.sha256(f"{self.profile} {self.bucket} {key} {version}".encode())
        job = self.signer.start_signing_job(
            source={"s3": {"bucketName": self.bucket, "key": key, "version": version}},
            destination={"s3": {"bucketName": self.bucket, "prefix": f"{folder}/signed-"}},
            profileName=self.profile,
            clientRequestToken=token.hexdigest(),
        )["jobId"]
        try:
            waiter = self.signer.get_waiter("successful_signing_job")
            waiter.wait(jobId=job, WaiterConfig=_PATIENCE)
        except WaiterError as error:
            why = self.signer.describe_signing_job(jobId=job).get("statusReason", "it takes long")
            raise ArtifactError(
                f"Signer did not sign s3://{self.bucket}/{key} (job {job}): {why}", remedy=_REMEDY
            ) from error
        return self.signer.describe_signing_job(jobId=job)["signedObject"]["s3"]["key"]
