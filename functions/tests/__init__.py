"""Unit tests of the example application; ``tidegate.yaml`` says how they are run."""
