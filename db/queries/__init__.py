"""Reading: one function is one Select.

A function's positional parameter is the parent: it has the columns of the table that the parameter is named after,
as attributes (`entity.owner_id`). A function without one starts from nothing. Keyword-only parameters are the
arguments of the GraphQL field that names the function; their types are those of `db.rules`. Order and paging are not
given here but where the function is named, and `schema.levels` runs it, for all parents of a level in one statement.
"""
