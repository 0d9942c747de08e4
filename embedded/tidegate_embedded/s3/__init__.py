"""S3: ministack's buckets, with bucket policies, reads across accounts, versions and encryption."""
