"""Large content, kept under its SHA-256."""
