"""From a SAM application to an artifact: expand, package, digest."""
