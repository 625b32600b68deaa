"""What a statement does, from its text alone: reads, controls or writes; and of a write, which table and how many rows.

Only what is recognised beyond doubt is taken for less than a write of unknown extent.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import Any


class Kind(Enum):
    READ = "read"
    CONTROL = "control"
    WRITE = "write"


@dataclass(frozen=True, slots=True)
class Statement:
    """What a text does.

    `table` is the one table it names as written, None for unknown; `columns` those it sets or inserts, in order.
    `is_one_row` says that it is an INSERT of one row, or that its whole condition is `key_column` = its last parameter.
    `returns` is the first column of an INSERT's RETURNING.
    """

    kind: Kind
    verb: str = ""
    table: str | None = None
    is_one_row: bool = False
    columns: tuple[str, ...] = ()
    key_column: str = ""
    returns: str = ""
    values: tuple[str, ...] = ()
    calls_function: bool = False
    sets_snapshot: bool = False
    for_session: bool = False
    takes_lock: bool = False
    is_two_phase: bool = False

    def parameter_of(self, column: str, params: Any) -> Any:
        """What a one-row INSERT gives for a column; None where it is no plain parameter."""
        position = self.columns.index(column)
        if not self.values[position].startswith("%s"):
            return None
        return tuple(params)[sum(value.startswith("%s") for value in self.values[:position])]


LONGEST_TEXT_REMEMBERED = 10_000
NAME = r'(?:"(?:[^"]|"")+"|[A-Za-z_][\w$]*)'
TABLE = rf"(?:{NAME}\s*\.\s*)?(?P<table>{NAME})"
VALUE = r"(?:%s(?:::[\w ]+(?:\[\])?)?|DEFAULT|NULL)"
ONE_INSERT = re.compile(
    rf"INSERT\s+INTO\s+{TABLE}\s*\((?P<columns>{NAME}(?:\s*,\s*{NAME})*)\)\s*VALUES\s*"
    rf"\((?P<values>{VALUE}(?:\s*,\s*{VALUE})*)\)(?:\s*RETURNING\s+(?:{NAME}\s*\.\s*)?(?P<returns>{NAME})\s*(?:,.*)?)?$",
    re.IGNORECASE | re.DOTALL,
)
INSERT = re.compile(rf"INSERT\s+(?:OR\s+\w+\s+)?INTO\s+{TABLE}\s*\(", re.IGNORECASE)
UPDATE = re.compile(rf"UPDATE\s+{TABLE}\s+SET\b(?P<rest>.*)$", re.IGNORECASE | re.DOTALL)
DELETE = re.compile(rf"DELETE\s+FROM\s+{TABLE}\s*(?P<rest>(?:WHERE\b.*)?)$", re.IGNORECASE | re.DOTALL)
ASSIGNED = re.compile(rf"\s*(?P<column>{NAME})\s*=", re.IGNORECASE)
KEY_EQUALS = re.compile(rf"\s*(?:{NAME}\s*\.\s*)?(?P<column>{NAME})\s*(?:=\s*%s|IN\s*\(\s*%s\s*\))\s*$", re.IGNORECASE)
SELECT = re.compile(r"\(*\s*SELECT\b", re.IGNORECASE)
WITH = re.compile(r"WITH\b", re.IGNORECASE)
WRITING = re.compile(r"\b(?:INSERT|UPDATE|DELETE|MERGE|REPLACE|TRUNCATE)\b", re.IGNORECASE)
# Comments, several statements, and texts quoted by dollars.
HIDING = re.compile(r";|--|/\*|\$\w*\$")
TWO_PHASE = re.compile(r"(?:PREPARE\s+TRANSACTION|(?:COMMIT|ROLLBACK)\s+PREPARED)\b", re.IGNORECASE)
BEGINS = re.compile(r"(?:BEGIN|START\s+TRANSACTION)\b", re.IGNORECASE)
TAKES_LOCK = re.compile(r"BEGIN\s+(?:IMMEDIATE|EXCLUSIVE)\b", re.IGNORECASE)
SETS_ISOLATION = re.compile(r"\bset_config\s*\(", re.IGNORECASE)
CHAIN = re.compile(r"\bAND\s+CHAIN\b", re.IGNORECASE)
SELECT_INTO = re.compile(r"\bINTO\b", re.IGNORECASE)
# What changes no rows of a table. Some of it cannot run inside a transaction.
CONTROL = re.compile(
    r"(?:SAVEPOINT|RELEASE|ROLLBACK|BEGIN|START\s+TRANSACTION|COMMIT|END|SHOW|PRAGMA|SET|RESET|LISTEN|UNLISTEN|"
    r"DECLARE\s+\S+\s+(?:\w+\s+)*?CURSOR\b|FETCH|CLOSE|LOCK\s+TABLE|VACUUM|ANALYZE|REINDEX|CHECKPOINT|DISCARD|"
    r"CREATE\s+(?:UNIQUE\s+)?INDEX\s+CONCURRENTLY|DROP\s+INDEX\s+CONCURRENTLY|CREATE\s+DATABASE|DROP\s+DATABASE|"
    r"ALTER\s+SYSTEM|EXPLAIN\s+(?:QUERY\s+PLAN\s+|\((?![^)]*ANALY[SZ]E)[^)]*\)\s*)?SELECT)\b",
    re.IGNORECASE,
)
# What FETCH runs later.
DECLARES = re.compile(r"DECLARE\b", re.IGNORECASE)
ISOLATION = re.compile(r"REPEATABLE\s+READ|SERIALIZABLE|SNAPSHOT|\bISOLATION\b", re.IGNORECASE)
SESSION = re.compile(r"SESSION|default_transaction_isolation", re.IGNORECASE)
DEFERRED = re.compile(r"BEGIN\s*(?:DEFERRED\s*)?(?:TRANSACTION\s*)?$", re.IGNORECASE)
COMMITS = re.compile(r"(?:COMMIT|END)(?!\s+PREPARED)\b", re.IGNORECASE)
ROLLS_BACK = re.compile(r"ROLLBACK\b(?!\s+(?:TO|PREPARED|(?:WORK|TRANSACTION)\s+TO)\b)", re.IGNORECASE)
QUOTED_TEXT = re.compile(r"'(?:[^']|'')*'")
QUOTED_NAME = re.compile(r'"(?:[^"]|"")*"')
CALLED = re.compile(r"(?<![\w.\"])([A-Za-z_]\w*)\s*\(")
QUALIFIED_CALL = re.compile(r'(?:\.\s*[A-Za-z_]\w*|"(?:[^"]|"")+")\s*\(')
# Words before a bracket that call nothing, and functions that are known to write nothing.
READING = frozenset(
    """
    select from where and or not in exists any some all as on join using values over partition by filter within group
    having order case when then else end cast distinct union intersect except limit offset between like ilike is with
    count sum min max avg total coalesce nullif abs round ceil ceiling floor sqrt power mod sign ln log exp greatest
    least length char_length upper lower trim ltrim rtrim btrim substr substring replace concat concat_ws left right
    lpad rpad strpos position reverse instr like glob regexp iif ifnull typeof hex unhex quote printf format char
    unicode ascii chr md5 to_char to_date to_timestamp to_number date time datetime julianday strftime now
    date_trunc date_part extract age make_date timezone statement_timestamp clock_timestamp row_number rank dense_rank
    percent_rank cume_dist ntile lag lead first_value last_value nth_value string_agg group_concat array_agg json_agg
    jsonb_agg bool_and bool_or every stddev_pop stddev_samp var_pop var_samp stddev variance corr json jsonb
    json_extract json_type json_array json_object json_each json_tree json_array_length json_valid jsonb_array_length
    array unnest generate_series to_jsonb to_json row random unaccent similarity to_tsvector plainto_tsquery bit_and
    bit_or cardinality array_length array_position numeric integer varchar text bigint interval decimal char double
    django_date_extract django_date_trunc django_datetime_cast_date django_datetime_cast_time django_datetime_extract
    django_datetime_trunc django_time_extract django_time_trunc django_time_diff django_timestamp_diff
    django_format_dtdelta bitxor pi radians degrees sin cos tan asin acos atan atan2 cot sha1 sha224 sha256 sha384
    jsonb_build_object json_build_object jsonb_build_array json_build_array regexp_replace regexp_match split_part
    ts_rank ts_headline websearch_to_tsquery phraseto_tsquery gen_random_uuid word_similarity encode decode
    sha512 width_bucket percentile_cont percentile_disc mode pg_current_xact_id_if_assigned to_regclass version
    pg_get_serial_sequence pg_get_constraintdef pg_get_indexdef pg_table_is_visible format_type pg_get_expr
    current_setting pg_stat_get_xact_tuples_inserted pg_relation_size pg_total_relation_size
    """.split()  # noqa: SIM905 - a list of two hundred quoted words would be read by nobody
)

# How Django escapes what LIKE compares with: on SQLite by naming the escape character, and where that is an expression
# (`startswith=F(...)`) by replacing it. The only backslashes that hide nothing.
ESCAPING = (
    (r"ESCAPE '\'", "ESCAPE '!'"),
    (r", '\', '\\'), '%%', '\%%'), '_', '\_')", ", '!', '!'), '!', '!'), '!', '!')"),
    (r", E'\\', E'\\\\'), E'%%', E'\\%%'), E'_', E'\\_')", ", '!', '!'), '!', '!'), '!', '!')"),
)


def classify(sql: str) -> Statement:
    """What the statement does."""
    # Long ones are INSERTs of many rows, each written once: remembered they would only take memory.
    return _classify(sql) if len(sql) <= LONGEST_TEXT_REMEMBERED else _classify.__wrapped__(sql)


@lru_cache(maxsize=4096)
def _classify(sql: str) -> Statement:
    text = sql.strip().rstrip("; \n\t")
    for written, plain in ESCAPING:
        text = text.replace(written, plain)
    bare = QUOTED_NAME.sub("n", QUOTED_TEXT.sub("''", text))
    if TWO_PHASE.match(text):
        return Statement(Kind.CONTROL, is_two_phase=True)
    if "\\" in text or HIDING.search(bare) or "'" in bare.replace("''", ""):
        return Statement(Kind.WRITE)
    if SELECT.match(text) or (WITH.match(text) and not WRITING.search(bare)):
        if SELECT_INTO.search(bare):
            return Statement(Kind.WRITE)
        return Statement(
            Kind.READ, calls_function=_calls_unknown_function(text), sets_snapshot=bool(SETS_ISOLATION.search(text))
        )
    if CONTROL.match(text):
        snapshot = bool(ISOLATION.search(text) or DEFERRED.match(text) or CHAIN.search(text))
        if TAKES_LOCK.match(text):
            return Statement(Kind.CONTROL, "begin", takes_lock=True)
        verbs = {"begin": BEGINS, "commit": COMMITS, "rollback": ROLLS_BACK}
        verb = next((name for name, pattern in verbs.items() if pattern.match(text)), "")
        return Statement(
            Kind.CONTROL, verb, sets_snapshot=snapshot, for_session=bool(SESSION.search(text)),
            calls_function=DECLARES.match(text) is not None and _calls_unknown_function(text),
        )  # fmt: skip
    if "%s" in "".join(QUOTED_TEXT.findall(text)):
        return _of_whole_table(text)
    return _insert(text) or _update(text) or _delete(text) or _of_whole_table(text)


def _insert(text: str) -> Statement | None:
    found = ONE_INSERT.match(text)
    if not found:
        return None
    columns = tuple(plain_name(part) for part in re.findall(NAME, found["columns"]))
    values = tuple(part.strip() for part in found["values"].split(","))
    if len(columns) != len(values):
        return None
    returns = plain_name(found["returns"]) if found["returns"] else ""
    return Statement(Kind.WRITE, "insert", plain_name(found["table"]), True, columns, returns=returns, values=values)


def _update(text: str) -> Statement | None:
    found = UPDATE.match(text)
    if not found:
        return None
    assignments, *conditions = _split(found["rest"], "WHERE")
    if _split(assignments, "FROM")[1:] or len(conditions) > 1:
        return None
    parts = [ASSIGNED.match(part) for part in _split(assignments, ",")]
    if not all(parts):
        return None
    columns = tuple(plain_name(part["column"]) for part in parts if part)
    key = KEY_EQUALS.match(conditions[0]) if conditions else None
    return Statement(
        Kind.WRITE, "update", plain_name(found["table"]), key is not None, columns,
        key_column=plain_name(key["column"]) if key else "",
    )  # fmt: skip


def _delete(text: str) -> Statement | None:
    found = DELETE.match(text)
    if not found:
        return None
    _nothing, *conditions = _split(found["rest"], "WHERE")
    key = KEY_EQUALS.match(conditions[0]) if len(conditions) == 1 else None
    return Statement(
        Kind.WRITE, "delete", plain_name(found["table"]), key is not None,
        key_column=plain_name(key["column"]) if key else "",
    )  # fmt: skip


def _of_whole_table(text: str) -> Statement:
    """A write of which at most the table is known."""
    for verb, pattern in (("insert", INSERT), ("update", UPDATE), ("delete", DELETE)):
        found = pattern.match(text)
        if found:
            return Statement(Kind.WRITE, verb, plain_name(found["table"]))
    return Statement(Kind.WRITE)


def plain_name(name: str) -> str:
    """A table's or column's name as the database has it."""
    return name[1:-1].replace('""', '"') if name.startswith('"') else name.lower()


def _calls_unknown_function(text: str) -> bool:
    bare = QUOTED_TEXT.sub("''", text)
    if QUALIFIED_CALL.search(re.sub(r"(?i)\b(?:in|as|from|join|and|or|not|where|over|exists)\s*\(", " ", bare)):
        return True
    return any(word.lower() not in READING for word in CALLED.findall(QUOTED_NAME.sub(" n ", bare)))


def _split(text: str, separator: str) -> list[str]:
    """The parts of a text between separators that stand outside of quotes and brackets.

    A word as separator stands alone, in either case.
    """
    parts, start = [], 0
    for position, end in _outside(text, separator):
        parts.append(text[start:position])
        start = end
    parts.append(text[start:])
    return parts


def _outside(text: str, separator: str) -> Iterator[tuple[int, int]]:
    pattern = rf"\b{separator}\b" if separator.isalpha() else re.escape(separator)
    depth = 0
    for found in re.finditer(rf"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|\(|\)|{pattern}", text, re.IGNORECASE):
        match found.group()[0]:
            case "(":
                depth += 1
            case ")":
                depth -= 1
            case "'" | '"':
                pass
            case _ if depth == 0:
                yield found.start(), found.end()
