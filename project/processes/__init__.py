"""Runs the site as one thing: the embedded Redis, the preparation of the database and the web server.

`python -m project.processes` is what `make run` starts. Read `__main__` first; below it lie `supervisor` (keeps
programs running), `programs` (one program and its process), `parent_death` (nothing outlives its starter), and a
module per program: `redis_server`, `preparation`, `web_server`.
"""
