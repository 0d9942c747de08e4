"""A release from its plan to its end: the lock, the tests, and what outlives an execution."""
