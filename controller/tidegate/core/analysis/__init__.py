"""The tests that a verdict rests on, one module for each: pure functions over observations."""
