"""The embedded AWS: one endpoint on one machine, with no account and no container engine."""
