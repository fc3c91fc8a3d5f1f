"""Signing: post-quantum and classical keys, guarded and used."""
