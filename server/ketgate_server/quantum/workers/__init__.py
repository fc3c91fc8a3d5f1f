"""Worker processes for what computes in Python, or cannot share this environment."""
