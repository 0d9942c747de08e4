"""What people ask of a release, of its traffic, and of what is left of old ones."""
