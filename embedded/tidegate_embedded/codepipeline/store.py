"""The artifact store of a pipeline: a place in S3 for what its actions pass on."""

import uuid
from collections.abc import Mapping
from typing import Any

from tidegate_embedded.codepipeline.records import Artifact


class ArtifactStore:
    """Puts and gets artifacts, encrypted as the pipeline declares."""

    def __init__(self, s3: Any, pipeline: str, declaration: Mapping[str, Any]) -> None:
        self.encryption_key: str = declaration.get("encryptionKey", {}).get("id", "")
        self._s3 = s3
        self._pipeline = pipeline
        self._bucket: str = declaration["location"]

    def place(self, name: str, **known: str) -> Artifact:
        """A new artifact that is not there yet, with what is known of it."""
        unique = uuid.uuid4().hex[:7]
        key = f"{self._pipeline[:20]}/{name[:10]}/{unique}"
        return Artifact(name, self._bucket, key, **known)

    def put(self, artifact: Artifact, body: bytes) -> None:
        """Upload an artifact."""
        encryption = {}
        if self.encryption_key:
            encryption = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": self.encryption_key}
        self._s3.put_object(
            Bucket=artifact.bucket,
            Key=artifact.key,
            Body=body,
            ContentType=artifact.content_type,
            **encryption,
        )

    def get(self, artifact: Artifact) -> bytes:
        """Download an artifact."""
        body: bytes = self._s3.get_object(Bucket=artifact.bucket, Key=artifact.key)["Body"].read()
        return body
