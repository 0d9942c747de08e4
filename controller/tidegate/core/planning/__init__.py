"""From an artifact to the plan of a release, and what a person should know of it before it runs."""
