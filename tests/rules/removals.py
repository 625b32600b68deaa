"""The rules of the protocol, and for each the changes of the code that take it out, with the tests that then fail.

A rule is one for which a schedule was found or run that is stale, commits what was refused or stands still without it.
`tests/rules/test_removals.py` sees that the code reads as it is told here and, with `--long`, that the tests fail.
"""

from tests.rules.removals_of_reads import OF_READS
from tests.rules.removals_of_redis import OF_REDIS
from tests.rules.removals_of_states import OF_STATES
from tests.rules.removals_of_writes import OF_WRITES

RULES = (*OF_READS, *OF_WRITES, *OF_REDIS, *OF_STATES)
REMOVALS = tuple(removal for rule in RULES for removal in rule.removals)
