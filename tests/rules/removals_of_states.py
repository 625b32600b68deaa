"""The rules of what a reader sees and of time, and how each is taken out."""

from tests.rules.rule import BOTH, CHECKS, STATES, Rule, removal

OF_STATES = (
    Rule(
        "written-stores-nothing",
        "A transaction that has written anything stores nothing: what a trigger wrote is not known yet.",
        (
            removal(
                "store-after-writing",
                (
                    "invalidation/snapshots.py",
                    'return Allowance(True, False, False, "the transaction has written")',
                    "return INSIDE_TRANSACTION",
                ),
                (
                    "invalidation/snapshots.py",
                    "    return bool(connection.pending.may_have_written and connection.is_in_transaction())",
                    "    return False",
                ),
                tests=[f"{STATES}::test_a_transaction_that_has_written_stores_nothing"],
                databases=BOTH,
            ),
        ),
    ),
    Rule(
        "no-older-state",
        "Whoever sees a state of the database older than the stamps neither uses nor stores entries.",
        (
            removal(
                "store-from-an-older-state",
                ("invalidation/snapshots.py", "    if connection.reads_old_state():", "    if False:"),
                ("invalidation/guard.py", "connection.reads_old_state() and fills.snapshot() is None", "False"),
                tests=[f"{STATES}::test_what_an_older_state_shows_is_not_stored"],
                databases=BOTH,
            ),
            removal(
                "store-while-rows-are-left",
                (
                    "invalidation/backends/sqlite3/base.py",
                    "        if any(cursor.is_reading for cursor in self._cursors):",
                    "        if False:",
                ),
                tests=[f"{STATES}::test_nothing_is_stored_while_rows_of_a_query_are_left"],
            ),
        ),
    ),
    Rule(
        "fills-from-the-primary",
        "Fills read from the primary, never from a replica, which may lag.",
        (
            removal(
                "fills-from-a-standby",
                ("invalidation/snapshots.py", "    if connection.is_standby:", "    if False:"),
                ("invalidation/guard.py", "connection.is_standby or", "False or"),
                tests=[f"{STATES}::test_what_a_standby_answers_is_not_stored"],
            ),
            removal(
                "routers-to-a-replica",
                ("invalidation/checks/databases.py", "        if reads != writes:", "        if False:"),
                tests=[f"{CHECKS}::test_a_router_that_reads_from_a_replica"],
            ),
        ),
    ),
    Rule(
        "time-is-compared-at-each-use",
        "The clock is read once per fill; what depends on the day has it in its key; `until` is compared at each use.",
        (
            removal(
                "until-as-ttl-alone",
                (
                    "invalidation/entries.py",
                    "now < entry.until",
                    "now",
                ),
                tests=[f"{STATES}::test_an_entry_is_compared_with_the_clock_at_each_use"],
            ),
            removal(
                "until-by-a-second-look-at-the-clock",
                (
                    "invalidation/computations.py",
                    "    with clock.frozen(question.now):\n        own = question.until()",
                    "    own = question.until()",
                ),
                tests=[f"{STATES}::test_a_fill_that_midnight_overtakes_ends_at_that_midnight"],
            ),
            removal(
                "keys-without-the-day",
                (
                    "invalidation/reads.py",
                    '    "day": lambda: clock.today().isoformat(),',
                    '    "day": lambda: "",',
                ),
                tests=[f"{STATES}::test_what_depends_on_the_day_has_the_day_in_its_key"],
            ),
        ),
    ),
)
