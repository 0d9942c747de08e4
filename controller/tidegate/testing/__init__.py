"""Twins of the world for tests: every port in memory, true to the adapters' contracts.

For the tests of applications: the fixtures of ``tidegate.testing.plugin``.
"""
