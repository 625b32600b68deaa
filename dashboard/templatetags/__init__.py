"""Template tags of our own pages."""
