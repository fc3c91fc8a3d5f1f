"""Where attempts run: threads and processes of this server, or a Ray cluster."""
