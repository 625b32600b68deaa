"""The rules of writing and of fences, and how each is taken out."""

from tests.rules.rule import BOTH, POSTGRESQL, WRITES, Rule, removal

OF_WRITES = (
    Rule(
        "sets-of-fences",
        "A tag holds a set of fences: with one slot a second writer's would take the first one's place.",
        (
            removal(
                "one-slot-for-a-fence",
                (
                    "invalidation/lua/raise.lua",
                    "        parts[#parts + 1] = part\n      end\n      first = false",
                    "      end\n      first = false",
                ),
                tests=[f"{WRITES}::test_a_second_writers_lift_leaves_the_first_ones_fence"],
            ),
        ),
    ),
    Rule(
        "raise-replaces-the-stamp",
        "Raising a fence replaces the stamp, so that entries are dead from then on.",
        (
            removal(
                "raise-keeps-the-stamp",
                (
                    "invalidation/lua/raise.lua",
                    "  local parts = { ARGV[2] }\n  local value = redis.call('GET', key)\n",
                    (
                        "  local value = redis.call('GET', key)\n"
                        "  local parts = { value and string.match(value, '%S+') or ARGV[2] }\n"
                    ),
                ),
                tests=[f"{WRITES}::test_from_the_raise_on_an_entry_is_dead_even_if_the_fence_is_lost"],
            ),
        ),
    ),
    Rule(
        "scopes-of-the-moment",
        "The scopes of a row that may move are read in the statement's transaction, under lock, before and after it.",
        (
            removal(
                "scopes-seen-earlier",
                (
                    "invalidation/statements.py",
                    "before = rows.scopes(self.connection, watched, pk, lock=statement.verb)",
                    "before = ()",
                ),
                tests=[f"{WRITES}::test_the_scope_that_a_row_leaves_is_the_one_it_is_in_at_the_write"],
                databases=BOTH,
            ),
            removal(
                "scopes-without-lock",
                (
                    "invalidation/rows.py",
                    '{"update": " FOR NO KEY UPDATE", "delete": " FOR UPDATE", "": ""}',
                    '{"update": "", "delete": "", "": ""}',
                ),
                tests=[f"{WRITES}::test_nobody_moves_a_row_between_the_look_at_its_scope_and_the_write"],
                databases=POSTGRESQL,
            ),
        ),
    ),
    Rule(
        "refuse-as-a-database-error",
        "On any failure before the commit the transaction is rolled back right there, and a database error is raised.",
        (
            removal(
                "leave-the-refused-to-django",
                (
                    "invalidation/exceptions.py",
                    "class WriteRefusedError(InvalidationError, OperationalError):",
                    "class WriteRefusedError(InvalidationError):",
                ),
                (
                    "invalidation/transactions.py",
                    "        connection.plain_rollback()\n        rolled_back = True",
                    "        rolled_back = True",
                ),
                (
                    "invalidation/backends/fenced.py",
                    "        if autocommit and self.pending.may_have_written:",
                    "        if False:",
                ),
                tests=[f"{WRITES}::test_what_is_refused_at_the_gate_is_not_committed"],
            ),
            removal(
                "refuse-as-another-error",
                (
                    "invalidation/exceptions.py",
                    "class WriteRefusedError(InvalidationError, OperationalError):",
                    "class WriteRefusedError(InvalidationError):",
                ),
                tests=[f"{WRITES}::test_a_refusal_is_an_error_of_the_database_to_django"],
                databases=BOTH,
            ),
            removal(
                "refuse-and-leave-the-transaction-open",
                (
                    "invalidation/transactions.py",
                    "        connection.plain_rollback()\n        rolled_back = True",
                    "        rolled_back = True",
                ),
                tests=[f"{WRITES}::test_a_refusal_ends_the_transaction_right_there"],
                databases=BOTH,
            ),
        ),
    ),
    Rule(
        "autocommit-through-the-gate",
        "Switching autocommit on with a transaction open passes the gate.",
        (
            removal(
                "autocommit-past-the-gate",
                (
                    "invalidation/backends/fenced.py",
                    "        if autocommit and self.pending.may_have_written:",
                    "        if False:",
                ),
                tests=[f"{WRITES}::test_switching_autocommit_on_commits_through_the_gate"],
                databases=BOTH,
            ),
        ),
    ),
    Rule(
        "nothing-raises-after-the-commit",
        "After the commit nothing may raise: a lift that failed is logged and left to proof.",
        (
            removal(
                "a-failed-lift-raises",
                (
                    "invalidation/fences.py",
                    'logger.warning("a fence could not be lifted and is left to proof: %s", error)',
                    "raise StoreError(str(error)) from error",
                ),
                tests=[f"{WRITES}::test_a_lift_that_fails_is_no_error_of_the_write"],
                databases=BOTH,
            ),
        ),
    ),
    Rule(
        "pending-is-cleared",
        "What is pending is cleared in commit, rollback, close and connect; nothing stays behind on the thread.",
        (
            removal(
                "pending-after-a-commit",
                (
                    "invalidation/transactions.py",
                    '    pending.clear()\n    points.reach("after_commit")',
                    '    points.reach("after_commit")',
                ),
                tests=[f"{WRITES}::test_nothing_is_pending_after_a_commit"],
            ),
            removal(
                "pending-after-a-rollback",
                (
                    "invalidation/transactions.py",
                    "    connection.pending.clear()\n    answer = do_rollback()",
                    "    answer = do_rollback()",
                ),
                tests=[f"{WRITES}::test_nothing_is_pending_after_a_rollback"],
            ),
            removal(
                "pending-over-a-new-connection",
                (
                    "invalidation/backends/fenced.py",
                    "        self.pending.clear()\n        self.session_is_snapshot = False\n        super().connect()",
                    "        self.session_is_snapshot = False\n        super().connect()",
                ),
                (
                    "invalidation/backends/fenced.py",
                    "        self.pending.clear()\n        return super()._close()",
                    "        return super()._close()",
                ),
                tests=[f"{WRITES}::test_nothing_is_pending_on_a_connection_made_anew"],
            ),
        ),
    ),
    Rule(
        "no-announcement-hides-a-write",
        "What a statement writes is told by the statement: a save that was announced and failed hides no later update.",
        (
            removal(
                "believe-announcements",
                (
                    "invalidation/registry.py",
                    "        watched = self._watched.get(instance._meta.db_table)\n",
                    (
                        "        connection.announced = instance._meta.db_table\n"
                        "        watched = self._watched.get(instance._meta.db_table)\n"
                    ),
                ),
                (
                    "invalidation/statements.py",
                    "            if watched is None:\n",
                    (
                        '            announced = self.connection.__dict__.pop("announced", None)\n'
                        "            if watched is None or watched.table == announced:\n"
                    ),
                ),
                (
                    "invalidation/backends/sqlite3/base.py",
                    "name != statement.table",
                    "False",
                ),
                tests=[f"{WRITES}::test_a_failed_save_hides_no_later_update"],
            ),
        ),
    ),
    Rule(
        "no-fence-on-a-clock",
        "A fence does not expire on a clock while its commit can still happen: it goes by proof.",
        (
            removal(
                "fences-with-a-ttl",
                (
                    "invalidation/lua/raise.lua",
                    "redis.call('SET', key, table.concat(parts, ' '))",
                    "redis.call('SET', key, table.concat(parts, ' '), 'PX', 600000)",
                ),
                tests=[f"{WRITES}::test_a_fence_is_not_evicted_while_its_commit_can_happen"],
                databases=BOTH,
            ),
            removal(
                "time-for-proof-on-sqlite",
                (
                    "invalidation/proof.py",
                    "        return tokens if self.takes_write_lock() else []",
                    "        return tokens",
                ),
                tests=[f"{WRITES}::test_a_fence_goes_by_proof_and_not_by_the_clock"],
            ),
            removal(
                "time-for-proof-on-postgresql",
                ("invalidation/proof.py", '        return status != "in progress"', "        return True"),
                tests=[f"{WRITES}::test_a_fence_goes_by_proof_and_not_by_the_clock"],
                databases=POSTGRESQL,
            ),
        ),
    ),
    Rule(
        "raised-only-when-acknowledged",
        "A fence counts as raised only when it was acknowledged: every failure and every error reply is unknown, and "
        "nothing is committed.",
        (
            removal(
                "commit-without-acknowledgement",
                (
                    "invalidation/transactions.py",
                    "        if not conf.proceeds_without_redis():\n            raise\n",
                    "        if not conf.proceeds_without_redis():\n            return\n",
                ),
                tests=[
                    f"{WRITES}::test_an_error_is_no_acknowledgement_of_a_fence",
                    f"{WRITES}::test_a_broken_connection_is_no_proof_of_a_dead_server",
                ],
                databases=BOTH,
            ),
            removal(
                "take-error-replies-for-answers",
                (
                    "invalidation/fences.py",
                    "        except StoreError:\n            if time.monotonic() >= deadline or not again():",
                    (
                        "        except StoreError as error:\n"
                        '            if "Connection" not in str(error) and "Timeout" not in str(error):\n'
                        "                return\n"
                        "            if time.monotonic() >= deadline or not again():"
                    ),
                ),
                tests=[f"{WRITES}::test_an_error_is_no_acknowledgement_of_a_fence"],
            ),
            removal(
                "take-broken-connections-for-dead-servers",
                (
                    "invalidation/fences.py",
                    "        except StoreError:\n            if time.monotonic() >= deadline or not again():",
                    (
                        "        except StoreError as error:\n"
                        '            if "Connection" in str(error):\n'
                        "                return\n"
                        "            if time.monotonic() >= deadline or not again():"
                    ),
                ),
                tests=[f"{WRITES}::test_a_broken_connection_is_no_proof_of_a_dead_server"],
            ),
        ),
    ),
)
