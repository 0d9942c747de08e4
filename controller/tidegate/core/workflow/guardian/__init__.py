"""The guardian: makes traffic safe where an execution ended before its work did."""
