"""Database backends whose commits leave through the engine's gate."""
