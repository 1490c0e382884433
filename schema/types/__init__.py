"""The types, one noun a file."""
