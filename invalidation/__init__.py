"""The invalidation engine: a read through the cache is never older than the database was when the read began.

So far it holds the ground the engine stands on: keys, values, entries, and the store with its scripts. Nothing of the
product is cached before the engine is whole.
"""
