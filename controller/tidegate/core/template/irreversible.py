"""What no rollback brings back: the end of a resource that holds data."""

from __future__ import annotations

from typing import Final

from tidegate.core.ports import Change, ResourceChange

# Whatever is in one of these is in no template.
HOLDS_DATA: Final = frozenset(
    f"AWS::{name}"
    for name in (
        "Backup::BackupVault",
        "Cognito::IdentityPool",
        "Cognito::UserPool",
        "DAX::Cluster",
        "DocDB::DBCluster",
        "DynamoDB::GlobalTable",
        "DynamoDB::Table",
        "EC2::Volume",
        "ECR::Repository",
        "EFS::FileSystem",
        "ElastiCache::CacheCluster",
        "ElastiCache::ReplicationGroup",
        "ElastiCache::ServerlessCache",
        "FSx::FileSystem",
        "KMS::Key",
        "Kinesis::Stream",
        "Logs::LogGroup",
        "MSK::Cluster",
        "MemoryDB::Cluster",
        "Neptune::DBCluster",
        "OpenSearchServerless::Collection",
        "OpenSearchService::Domain",
        "RDS::DBCluster",
        "RDS::DBInstance",
        "RDS::GlobalCluster",
        "Redshift::Cluster",
        "S3::Bucket",
        "S3Express::DirectoryBucket",
        "SDB::Domain",
        "SQS::Queue",
        "SSM::Parameter",
        "SecretsManager::Secret",
        "Timestream::Database",
        "Timestream::Table",
    )
)


def irreversible(change: ResourceChange) -> str:
    """What this change takes that no rollback brings back; "" when there is nothing."""
    if change.type not in HOLDS_DATA:
        return ""
    if change.change is Change.REMOVE:
        return "" if is_kept(change) else f"it is deleted{_remains(change)}"
    if change.change is Change.REPLACE:
        return f"a new, empty one takes its place{_fate(change)}"
    if change.may_replace:
        return f"CloudFormation may replace it with a new, empty one{_fate(change)}"
    return ""


def is_kept(change: ResourceChange) -> bool:
    """The resource leaves the stack and goes on existing."""
    return change.change is Change.REMOVE and change.policy_action == "Retain"


def _fate(change: ResourceChange) -> str:
    """What becomes of the one that was there."""
    if change.policy_action.endswith("Retain"):
        return ", the old one is kept outside of the stack"
    return f", the old one is deleted{_remains(change)}"


def _remains(change: ResourceChange) -> str:
    snapshot = change.policy_action.endswith("Snapshot")
    return ", a snapshot is kept" if snapshot else " with what it holds"
