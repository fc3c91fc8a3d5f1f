"""The use of keys: sign, verify, encapsulate, seal, make codes."""
