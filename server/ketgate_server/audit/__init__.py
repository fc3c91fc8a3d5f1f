"""The record of everything that matters: an append-only Merkle log."""
