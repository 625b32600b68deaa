"""Django's PostgreSQL backend with the gate."""
