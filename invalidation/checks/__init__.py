"""System checks for every setting that would weaken the promise, each with what to do about it.

They register themselves when this package is imported. `manage.py check` looks at settings and code alone; with
`--deploy` the Redis server is asked too, with `--database NAME` that database.
"""

from django.core.checks import Tags, register

from invalidation.checks import cache, databases, project, servers

TAG = "invalidation"

for check in (cache.check_cache, databases.check_databases, project.check_project, project.check_reads):
    register(check, TAG)
register(servers.check_redis, TAG, deploy=True)
register(servers.check_database_servers, TAG, Tags.database)
