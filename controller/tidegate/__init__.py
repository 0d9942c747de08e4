"""Tidegate: progressive delivery for AWS Lambda."""
