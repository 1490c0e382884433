"""The graph: its types, how they read the database, and its errors."""
