"""Postgres: tables, reading, writing, and the rules of what rows mean."""
