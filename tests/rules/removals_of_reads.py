"""The rules of reading, and how each is taken out."""

from tests.rules.rule import BOTH, READS, Rule, removal

OF_READS = (
    Rule(
        "random-stamps",
        "A stamp is a random token, never a counter: an evicted counter would restart and revive old entries.",
        (
            removal(
                "stamps-begin-again-at-one",
                (
                    "invalidation/computations.py",
                    "conf.tag_ttl_milliseconds(), new_token())",
                    'conf.tag_ttl_milliseconds(), "1")',
                ),
                tests=[f"{READS}::test_a_stamp_never_comes_again_after_its_tag_was_evicted"],
            ),
        ),
    ),
    Rule(
        "epoch-is-never-minted-on-the-way",
        "A fill gives missing tags a stamp, never a missing epoch a value.",
        (
            removal(
                "a-fill-mints-the-epoch",
                (
                    "invalidation/lua/begin.lua",
                    "local answer = { holder, redis.call('GET', KEYS[2]) }",
                    (
                        "local epoch = redis.call('GET', KEYS[2])\n"
                        "if not epoch then\n"
                        "  epoch = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)') .. ':' .. ARGV[4]\n"
                        "  redis.call('SET', KEYS[2], epoch)\n"
                        "end\n"
                        "local answer = { holder, epoch }"
                    ),
                ),
                tests=[f"{READS}::test_a_missing_epoch_is_not_minted_on_the_way"],
            ),
        ),
    ),
    Rule(
        "stamps-before-queries",
        "An entry carries stamps and an epoch taken before the first query: later ones would be stale for ever.",
        (
            removal(
                "stamps-after-queries",
                (
                    "invalidation/computations.py",
                    "                tags, data, ttl = _entry(question, frame, first_epoch, token, stamps, raw)",
                    (
                        '                late = store().command("MGET", *map(store().names.tag, stamps)).value\n'
                        "                after = dict(zip(stamps, late, strict=True))\n"
                        "                tags, data, ttl = _entry(question, frame, first_epoch, token, after, raw)"
                    ),
                ),
                tests=[f"{READS}::test_stamps_are_taken_before_the_first_query"],
            ),
        ),
    ),
    Rule(
        "adopt-only-what-began-later",
        "A waiter takes a result without proof only if it was begun after it came, in the same epoch.",
        (
            removal(
                "adopt-what-began-earlier",
                ("invalidation/answers.py", "        published.token not in seen\n", "        published.token\n"),
                tests=[f"{READS}::test_a_waiter_takes_no_result_that_was_begun_before_it_came"],
            ),
            removal(
                "adopt-of-another-epoch",
                ("invalidation/answers.py", "        if sight.epoch != arrival.epoch:", "        if False:"),
                ("invalidation/answers.py", "        and published.epoch == arrival.epoch\n", ""),
                tests=[f"{READS}::test_a_waiter_takes_no_result_of_another_epoch"],
            ),
        ),
    ),
    Rule(
        "only-the-holder-publishes",
        "Only the present holder of the lease publishes, compared and published in one script.",
        (
            removal(
                "anybody-publishes",
                (
                    "invalidation/lua/finish.lua",
                    "if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end\n",
                    "",
                ),
                tests=[f"{READS}::test_only_the_present_holder_of_the_lease_publishes"],
            ),
        ),
    ),
    Rule(
        "no-deadlock-of-leases",
        "The database connection is in hand before the lease is taken; who holds a lease or is inside a transaction "
        "waits for nobody; every wait is bounded.",
        (
            removal(
                "connect-under-the-lease",
                ("invalidation/answers.py", "    connections[question.using].ensure_connection()\n", ""),
                tests=[f"{READS}::test_the_database_connection_is_in_hand_before_the_lease_is_taken"],
                databases=BOTH,
            ),
            removal(
                "wait-inside-a-transaction",
                (
                    "invalidation/snapshots.py",
                    "INSIDE_TRANSACTION = Allowance(True, True, False)",
                    "INSIDE_TRANSACTION = Allowance(True, True, True)",
                ),
                tests=[f"{READS}::test_who_is_inside_a_transaction_waits_for_nobody"],
                databases=BOTH,
            ),
            removal(
                "wait-with-a-lease",
                (
                    "invalidation/answers.py",
                    "may_wait = allowance.may_wait and not fills.holds_lease()",
                    "may_wait = allowance.may_wait",
                ),
                tests=[f"{READS}::test_who_holds_a_lease_waits_for_nobody"],
            ),
            removal(
                "wait-for-ever",
                (
                    "invalidation/answers.py",
                    "if not may_wait or time.monotonic() > deadline:",
                    "if not may_wait:",
                ),
                tests=[f"{READS}::test_every_wait_is_bounded"],
            ),
        ),
    ),
    Rule(
        "finished-values",
        "A fill receives plain values, uses nothing that was read earlier, and returns finished values, no lazy ones.",
        (
            removal(
                "instances-in-keys",
                (
                    "invalidation/keys.py",
                    "    raise UnkeyableValueError(f",
                    "    return str(value)\n    raise UnkeyableValueError(f",
                ),
                tests=[f"{READS}::test_an_instance_is_no_parameter"],
            ),
            removal(
                "lazy-values",
                (
                    "invalidation/values.py",
                    '    raise TypeError(f"a {type(value)',
                    '    return str(value)\n    raise TypeError(f"a {type(value)',
                ),
                tests=[f"{READS}::test_a_lazy_value_is_no_result"],
            ),
            removal(
                "read-earlier",
                ("invalidation/guard.py", "        if need.always and need.table not in seen\n", "        if False\n"),
                tests=[f"{READS}::test_what_was_read_earlier_is_noticed"],
            ),
        ),
    ),
    Rule(
        "stamps-of-reads-inside",
        "A value inside which one tag had two stamps, or a read was a bypass, is not stored.",
        (
            removal(
                "the-later-of-two-stamps",
                (
                    "invalidation/fills.py",
                    (
                        "            if self.stamps.setdefault(tag, stamp) != stamp:\n"
                        '                self.refuse(f"two stamps of {tag} were seen")\n'
                    ),
                    "            self.stamps[tag] = stamp\n",
                ),
                tests=[f"{READS}::test_a_value_of_two_stamps_of_one_tag_is_not_used_again"],
            ),
            removal(
                "the-stamps-of-the-inner-read",
                (
                    "invalidation/computations.py",
                    "        if stamps.get(tag, stamp) != stamp:",
                    "        if False:",
                ),
                (
                    "invalidation/computations.py",
                    "    everything = {**frame.stamps, **stamps}",
                    "    everything = {**stamps, **frame.stamps}",
                ),
                tests=[f"{READS}::test_a_value_older_than_a_read_inside_it_is_not_used_again"],
            ),
            removal(
                "store-with-a-bypass-inside",
                (
                    "invalidation/computations.py",
                    '        outer.refuse(f"{question.name} inside was not read through the cache: {reason}")',
                    "        pass",
                ),
                tests=[f"{READS}::test_a_value_with_a_bypass_inside_is_not_stored"],
            ),
        ),
    ),
)
