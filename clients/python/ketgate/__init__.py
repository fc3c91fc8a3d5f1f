"""Ketgate's Python client."""
