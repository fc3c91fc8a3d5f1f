"""Libraries and tokens that do the cryptography, behind one interface."""
