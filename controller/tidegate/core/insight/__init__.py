"""What is only read: how a release stands, why it went as it did, and what others are told."""
