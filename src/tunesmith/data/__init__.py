"""From the user's files to clean rows: read, columns, labels, clean, check, split."""
