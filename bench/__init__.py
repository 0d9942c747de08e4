"""Benches: what the product promises, measured. Not shipped; they may use numpy."""
