"""Django's SQLite backend with the gate."""
