"""Durable work: accepted on disk, done once in effect, watched without a gap."""
