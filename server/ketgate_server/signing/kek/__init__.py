"""Key-encryption keys: what stored private keys are encrypted under."""
