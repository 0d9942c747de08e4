"""The Lambda tasks: one file each, named as the state machines name them."""
