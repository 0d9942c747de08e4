"""A Lambda endpoint on this machine for the functions that `sam build` left: with containers or not."""
