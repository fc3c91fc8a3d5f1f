"""The edge: server, TLS, authentication, deadlines, error mapping, health, reflection,
telemetry."""
