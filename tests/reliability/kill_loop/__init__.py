"""Real servers under load, killed at random moments; what callers saw is held to a model."""
