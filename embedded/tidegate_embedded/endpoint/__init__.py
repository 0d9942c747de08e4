"""A Lambda endpoint on this machine for what `sam build` left, with containers or without."""
