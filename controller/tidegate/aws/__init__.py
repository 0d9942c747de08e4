"""One adapter per port, and the session that opens them."""
