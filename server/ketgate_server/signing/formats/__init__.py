"""How keys, signatures and certificates are written for others."""
