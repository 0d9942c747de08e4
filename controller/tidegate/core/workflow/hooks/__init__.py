"""Validation hooks: run at once, or answered later by an event."""
