"""The data-access API: the only door to the database."""
