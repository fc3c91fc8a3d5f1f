"""One database: its schema, its migrations, its tables."""
