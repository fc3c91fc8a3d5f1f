"""What private keys are encrypted under: where key-encryption keys are had, envelopes, and the change
from one to another."""
