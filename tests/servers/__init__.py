"""The database and cache servers that a test run starts for itself, on private sockets, and takes down with it."""
