"""The rules of a Redis and a database that forget, and how each is taken out."""

from tests.rules.rule import BOTH, CHECKS, CONNECTIONS, POSTGRESQL, REDIS, Rule, removal

OF_REDIS = (
    Rule(
        "the-hook-that-runs",
        "A connection to Redis learns run_id and role in the hook that redis-py calls, on_connect_check_health.",
        (
            removal(
                "the-hook-that-never-runs",
                (
                    "invalidation/connections.py",
                    "    def on_connect_check_health(self, check_health: bool = True) -> None:",
                    "    def on_connect(self, check_health: bool = True) -> None:",
                ),
                (
                    "invalidation/connections.py",
                    "            super().on_connect_check_health(check_health=check_health)",
                    "            super().on_connect()",
                ),
                tests=[
                    f"{CONNECTIONS}::test_a_new_connection_knows_the_run_of_its_server",
                    f"{CONNECTIONS}::test_a_replica_is_not_connected_to",
                ],
            ),
        ),
    ),
    Rule(
        "no-unchecked-connection",
        "A connection whose server could not be identified, for whatever reason, is disconnected.",
        (
            removal(
                "let-other-errors-through",
                (
                    "invalidation/connections.py",
                    (
                        "        except BaseException as error:\n"
                        "            self.disconnect()\n"
                        "            if not isinstance(error, Exception):"
                    ),
                    "        except BaseException as error:\n            if True:",
                ),
                tests=[f"{CONNECTIONS}::test_an_error_that_is_none_of_redis_leaves_no_connection_behind"],
            ),
        ),
    ),
    Rule(
        "epochs-of-their-run",
        "An epoch that is missing or of another run of the server is replaced by a new one in quarantine.",
        (
            removal(
                "a-new-epoch-without-quarantine",
                (
                    "invalidation/lua/epoch.lua",
                    "if ARGV[3] ~= 'renew' or not believable or string.sub(value, -11) == ':quarantine' then",
                    "if ARGV[3] == 'quarantine' then",
                ),
                tests=[
                    f"{REDIS}::test_after_a_flush_nothing_is_stored_until_the_writers_under_way_have_ended",
                ],
                databases=BOTH,
            ),
            removal(
                "believe-an-epoch-of-another-run",
                (
                    "invalidation/epoch.py",
                    'bool(answer.run_id) and value.startswith(answer.run_id.encode() + b":")',
                    "bool(answer.run_id)",
                ),
                tests=[f"{REDIS}::test_what_a_server_remembers_of_an_earlier_run_is_not_believed"],
            ),
        ),
    ),
    Rule(
        "no-retries-in-the-pool",
        "The engine's pool has no retries of its own: they would reconnect to the old host.",
        (
            removal(
                "retries-in-the-pool",
                ("invalidation/connections.py", "Retry(NoBackoff(), 0)", "Retry(NoBackoff(), 3)"),
                tests=[f"{CONNECTIONS}::test_the_pool_tries_nothing_twice"],
            ),
        ),
    ),
    Rule(
        "quarantine-ends-by-proof",
        "A quarantine ends when the transactions that were under way at its start have ended, on every database.",
        (
            removal(
                "quarantine-ends-at-once",
                ("invalidation/epoch.py", "            if all(over):", "            if True:"),
                tests=[f"{REDIS}::test_a_quarantine_lasts_until_the_writers_under_way_have_ended"],
                databases=BOTH,
            ),
            removal(
                "quarantine-without-the-lock-of-sqlite",
                (
                    "invalidation/proof.py",
                    "self._over = self._over or self.prover.takes_write_lock()",
                    "self._over = True",
                ),
                tests=[f"{REDIS}::test_a_quarantine_lasts_until_the_writers_under_way_have_ended"],
            ),
            removal(
                "quarantine-by-the-newest-number-of-postgresql",
                (
                    "invalidation/proof.py",
                    "        self._over = oldest > self._number",
                    "        self._over = self._number > 0",
                ),
                tests=[f"{REDIS}::test_a_quarantine_lasts_until_the_writers_under_way_have_ended"],
                databases=POSTGRESQL,
            ),
        ),
    ),
    Rule(
        "the-first-epoch",
        "A fill carries the epoch of its first read, never the process's present one.",
        (
            removal(
                "the-present-epoch",
                ("invalidation/computations.py", "        epoch=first_epoch,", "        epoch=epoch.ensure(),"),
                tests=[f"{REDIS}::test_a_fill_carries_the_epoch_of_its_beginning"],
            ),
        ),
    ),
    Rule(
        "lost-commits",
        "A database that may lose commits is refused by a check; another database at connect replaces the epoch.",
        (
            removal(
                "another-database-unnoticed",
                (
                    "invalidation/origins.py",
                    "        epoch.renew(in_quarantine=True)",
                    "        pass",
                ),
                tests=[f"{REDIS}::test_entries_of_another_database_end_when_it_is_connected_to"],
                databases=BOTH,
            ),
            removal(
                "lossy-databases-accepted",
                ("invalidation/checks/servers.py", '        if value == "off":', "        if False:"),
                tests=[f"{CHECKS}::test_a_postgresql_server"],
            ),
            removal(
                "a-restore-keeps-the-entries",
                (
                    "invalidation/lua/epoch.lua",
                    "if ARGV[3] == 'ensure' and believable then return value end",
                    "if believable then return value end",
                ),
                tests=[f"{REDIS}::test_a_reset_after_a_restore_ends_what_is_stored_later_too"],
            ),
        ),
    ),
    Rule(
        "bounded-indexes",
        "Indexes that serve to remove dead entries live as long as their longest entry and list no more than a bound.",
        (
            removal(
                "indexes-without-a-bound",
                (
                    "invalidation/lua/finish.lua",
                    "    if redis.call('SCARD', KEYS[i]) < tonumber(ARGV[5]) then",
                    "    if true then",
                ),
                tests=[f"{REDIS}::test_an_index_lists_entries_up_to_a_bound"],
            ),
            removal(
                "indexes-without-a-ttl",
                (
                    "invalidation/lua/finish.lua",
                    "redis.call('PTTL', KEYS[i]) < tonumber(ARGV[4])",
                    "false",
                ),
                tests=[f"{REDIS}::test_an_index_is_kept_no_longer_than_its_entries"],
            ),
        ),
    ),
)
