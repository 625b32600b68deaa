"""Situations in which caches go stale: each with its number, on real servers and in real processes."""
