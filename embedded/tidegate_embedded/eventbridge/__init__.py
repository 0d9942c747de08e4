"""EventBridge: ministack's buses, with the services' own events and buses of other accounts."""
