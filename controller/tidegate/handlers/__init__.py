"""One thin module per Lambda task, named as its state."""
