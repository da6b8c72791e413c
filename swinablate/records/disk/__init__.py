"""What is common to all files of a home: written whole, locked, and stores in SQLite."""
