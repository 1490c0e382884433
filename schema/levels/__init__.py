"""How edges become SQL: one statement for each level of a query, however many objects stand on it."""
