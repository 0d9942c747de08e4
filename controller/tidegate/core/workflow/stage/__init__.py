"""A stage from its beginning to its end: previewed, agreed to, settled. Rollouts lie between."""
