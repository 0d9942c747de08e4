"""Twins of the world for tests: every port in memory, true to the adapters' contracts."""
