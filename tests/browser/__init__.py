"""Stories told with a real browser."""
