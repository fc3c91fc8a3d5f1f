"""OpenQASM 3 and 2, in and out."""
