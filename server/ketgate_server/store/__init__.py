"""What outlives the process: one SQLite database in the data folder, its schema and its
migrations."""
