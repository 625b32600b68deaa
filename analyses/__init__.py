"""Analyses of the maintenance history, computed in the background."""
