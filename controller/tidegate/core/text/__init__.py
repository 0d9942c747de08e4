"""Text that people write and read: quantities, commands to paste, harmless characters, YAML."""
