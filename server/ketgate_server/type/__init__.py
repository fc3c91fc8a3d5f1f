"""What the messages of type/v1, which domains share, are inside."""
