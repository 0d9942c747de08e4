"""What a template comes to and what it means: values, callers, data, secrets, and what it opens."""
