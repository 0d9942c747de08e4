"""From a verdict to an action: the next weight, or the way back; and what it was decided by."""
