"""Items to SQLite and columns; filters to the rows that pass them."""
