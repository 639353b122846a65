"""A real bank into a real server and out again: types, nulls, keys, checks, comments, rows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from tests.data.databases.berka import CHECKS, COLUMNS, bank
from tests.data.postgres_server import Server
from understudy.data import Dataset, read, write
from understudy.data.databases import write_database
from understudy.data.databases.translation import translated
from understudy.errors import ConstraintError, SourceError
from understudy.schema import Identifier, Inequality, Number, Range, Schema, Table
from understudy.schema.plan import Plan, Source, dump_plan
from understudy.synthesizers.tabular.tree import TreeSynthesizer

DECLARED = {
    "columns": """
        SELECT table_name, column_name, ordinal_position, is_nullable, data_type,
               character_maximum_length, numeric_precision, numeric_scale, datetime_precision,
               CASE data_type WHEN 'USER-DEFINED' THEN udt_name END
        FROM information_schema.columns WHERE table_schema = '{schema}' ORDER BY 1, 3""",
    "constraints": """
        SELECT c.relname, k.contype, replace(pg_get_constraintdef(k.oid), '{schema}.', '')
        FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid
        WHERE k.connamespace = '{schema}'::regnamespace ORDER BY 1, 2, 3""",
    "comments": """
        SELECT c.relname, d.objsubid, d.description
        FROM pg_description d JOIN pg_class c ON c.oid = d.objoid
        WHERE d.classoid = 'pg_class'::regclass AND c.relnamespace = '{schema}'::regnamespace
        ORDER BY 1, 2""",
    "labels": """
        SELECT t.typname, e.enumlabel, e.enumsortorder
        FROM pg_enum e JOIN pg_type t ON t.oid = e.enumtypid
        WHERE t.typnamespace = '{schema}'::regnamespace ORDER BY 1, 3""",
}


def declared(server: Server, schema: str) -> dict[str, list[tuple[object, ...]]]:
    return {what: server.rows(sql.format(schema=schema)) for what, sql in DECLARED.items()}


def meaning(constraint: tuple[object, ...]) -> tuple[object, ...]:
    """A constraint with the redundant casts and brackets of a check taken out."""
    table, kind, text = constraint
    if kind != "c":
        return constraint
    from sqlglot import parse_one
    from sqlglot.optimizer.simplify import flatten

    check = translated(str(text).removeprefix("CHECK "), "postgres", "duckdb")
    return table, kind, flatten(parse_one(check).unnest()).sql()


@pytest.fixture(scope="module")
def loaded(postgres: Server) -> Dataset:
    """The bank in schema `bank`, as it was given to the server."""
    folder = Path(__file__).resolve().parents[4] / "shared" / "data" / "berka"
    if not folder.is_dir():
        pytest.skip(f"the real bank is not on this machine ({folder})")
    given = bank(folder)
    write_database(given, postgres.url(), "bank")
    return given


def test_the_bank_comes_out_as_it_went_in(postgres: Server, loaded: Dataset) -> None:
    found = read(postgres.url(schema="bank"))
    assert [spec.name for spec in found.schema.tables] == list(COLUMNS)
    for name, table in loaded.tables.items():
        assert found.tables[name].equals(table), name
    for ours, theirs in zip(loaded.schema.tables, found.schema.tables, strict=True):
        assert theirs.primary_key == ours.primary_key
        assert set(theirs.foreign_keys) == set(ours.foreign_keys)
        assert [c.sql for c in theirs.columns] == [c.sql for c in ours.columns]
        assert [c.nullable for c in theirs.columns] == [c.nullable for c in ours.columns]


def test_a_copy_of_the_bank_is_declared_alike(postgres: Server, loaded: Dataset) -> None:
    del loaded
    found = read(postgres.url(schema="bank"))
    assert write(found, postgres.url(schema="copy")) == postgres.url(schema="copy")
    first, second = declared(postgres, "bank"), declared(postgres, "copy")
    assert len(first["columns"]) == sum(map(len, COLUMNS.values()))
    checks = [row for row in first["constraints"] if row[1] == "c"]
    assert len(checks) == sum(map(len, CHECKS.values()))
    assert len([row for row in first["constraints"] if row[1] == "f"]) == 8
    assert len(first["comments"]) == len(COLUMNS) + 5
    # PostgreSQL itself spells a condition otherwise once it has read its own spelling.
    meant = [[meaning(row) for row in d.pop("constraints")] for d in (first, second)]
    assert meant[0] == meant[1]
    assert first == second
    for name in COLUMNS:
        rows = f'(TABLE bank."{name}" EXCEPT ALL TABLE copy."{name}")'
        if name != "card":  # whose enumeration is a type of each schema's own
            assert postgres.rows(f"SELECT count(*) FROM {rows} r") == [(0,)]


def test_simple_checks_become_rules_and_the_plan_holds_them(
    postgres: Server, loaded: Dataset
) -> None:
    del loaded
    schema = read(postgres.url(schema="bank")).schema
    loan = schema.table("loan")
    assert set(loan.constraints) == {
        Inequality(low="payments", high="amount"),
        Range(column="duration", minimum=12, maximum=60),
    }
    assert loan.column("amount").minimum == 0.01  # worked out from payments, so no range
    assert loan.column("status").levels == ("A", "B", "C", "D")
    assert (
        Range(column="date", minimum="1993-01-01T00:00:00") in schema.table("account").constraints
    )
    assert schema.table("trans").column("type").levels == ("PRIJEM", "VYDAJ", "VYBER")
    assert schema.table("disp").column("type").levels == ("OWNER", "DISPONENT")
    assert schema.table("card").column("type").levels == ("junior", "classic", "gold")
    plan = Plan(source=Source(path=postgres.url()), data=schema)
    text = dump_plan(plan)
    assert "duration % 12" in text.replace("(duration)::integer", "duration")
    import yaml

    assert Plan.model_validate(yaml.safe_load(text)) == plan


@pytest.mark.parametrize("name", ["loan", "card"])
def test_synthetic_rows_meet_what_the_source_declares(
    postgres: Server, loaded: Dataset, name: str
) -> None:
    """Rows that an engine made go into a schema with all types, keys and checks in force."""
    del loaded
    found = read(postgres.url(schema="bank"))
    spec = found.schema.table(name).model_copy(update={"foreign_keys": ()})
    schema = Schema(tables=(spec,), dialect=found.schema.dialect)
    single = Dataset(schema, {name: found.tables[name]})
    made = TreeSynthesizer().fit(single).sample(2_000, seed=7)
    write(made, postgres.url(schema=f"made_{name}"))
    assert postgres.rows(f"SELECT count(*) FROM made_{name}.{name}") == [(2_000,)]


def test_a_partitioned_table_is_one_table(postgres: Server) -> None:
    postgres.run(
        "CREATE SCHEMA parts",
        "CREATE TABLE parts.log (id int, day date, PRIMARY KEY (id, day)) PARTITION BY RANGE (day)",
        "CREATE TABLE parts.a PARTITION OF parts.log FOR VALUES FROM (MINVALUE) TO ('2020-01-01')",
        "CREATE TABLE parts.b PARTITION OF parts.log FOR VALUES FROM ('2020-01-01') TO (MAXVALUE)",
        "INSERT INTO parts.log VALUES (1, '2019-01-01'), (2, '2021-01-01')",
        "CREATE VIEW parts.seen AS TABLE parts.log",
    )
    found = read(postgres.url(schema="parts"))
    assert [(spec.name, spec.primary_key) for spec in found.schema.tables] == [
        ("log", ("id", "day"))
    ]
    assert found.num_rows == 2


def test_a_schema_that_exists_is_left_alone(postgres: Server, loaded: Dataset) -> None:
    before = declared(postgres, "bank")
    with pytest.raises(SourceError, match=r"has a schema 'bank' already. Choose another"):
        write_database(loaded, postgres.url(), "bank")
    assert declared(postgres, "bank") == before


PEOPLE = Schema(
    tables=(
        Table(
            name="people",
            columns=(
                Identifier(name="id", nullable=False, sql="integer"),
                Identifier(name="boss", sql="integer"),
                Number(name="age", integer=True, sql="smallint"),
            ),
            primary_key=("id",),
            foreign_keys=({"columns": ("boss",), "table": "people", "references": ("id",)},),
            checks=("age >= 18",),
        ),
    ),
    dialect="postgres",
)


def people(ids: list[int], bosses: list[int | None], ages: list[int | None]) -> Dataset:
    columns = {
        "id": pa.array(ids, pa.int32()),
        "boss": pa.array(bosses, pa.int32()),
        "age": pa.array(ages, pa.int16()),
    }
    return Dataset.single(PEOPLE, pa.table(columns))


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (people([1, 2, 2, 2], [None] * 4, [20] * 4), r"the primary key \(\"id\"\) is broken by 2"),
        (people([1, 2, 3], [7, 8, None], [20] * 3), r"the foreign key .* is broken by 2 of 3"),
        (people([1, 2, 3], [None] * 3, [17, 20, None]), r"the check \(age >= 18\) is broken by 1"),
    ],
)
def test_rows_that_break_a_rule_are_refused_with_their_number(
    postgres: Server, rows: Dataset, said: str
) -> None:
    with pytest.raises(ConstraintError, match=said):
        write_database(rows, postgres.url(), "broken")
    assert not postgres.has_schema("broken")


def test_a_table_may_point_at_itself_in_any_order(postgres: Server) -> None:
    made = people([1, 2, 3], [3, 1, 2], [20, 30, 40])
    write_database(made, postgres.url(), "circle")
    assert read(postgres.url(schema="circle")).table.equals(made.table)


def test_a_text_that_is_no_number_is_refused_without_being_shown(postgres: Server) -> None:
    column = Identifier(name="id", sql="integer")
    schema = Schema(tables=(Table(name="t", columns=(column,)),), dialect="postgres")
    dataset = Dataset.single(schema, pa.table({"id": ["1", "private-value"]}))
    with pytest.raises(ConstraintError, match="invalid input syntax for type integer") as caught:
        write_database(dataset, postgres.url(), "broken")
    assert "private-value" not in str(caught.value)
    assert not postgres.has_schema("broken")


EVERYTHING = (
    "CREATE SCHEMA kinds",
    "CREATE TYPE kinds.mood AS ENUM ('sad', 'ok', 'happy')",
    "CREATE DOMAIN kinds.price AS numeric(8, 2) NOT NULL CHECK (VALUE > 0)",
    'CREATE TABLE kinds.parent (a int, "B b" text, PRIMARY KEY (a, "B b"))',
    """CREATE TABLE kinds.child (
        id bigserial PRIMARY KEY, a int, "B b" text, mood kinds.mood NOT NULL
            CHECK (mood <> 'sad'), price kinds.price, exact numeric(30, 10), loose numeric,
        length interval, instant timestamptz, day date, clock time, zoned timetz, list int[],
        code uuid UNIQUE, raw bytea, doc jsonb, short char(3), address inet, small real,
        money money, flag boolean DEFAULT true, "odd ""name" text DEFAULT 'it''s',
        twice int GENERATED ALWAYS AS (a * 2) STORED,
        FOREIGN KEY (a, "B b") REFERENCES kinds.parent ON DELETE CASCADE,
        UNIQUE (a, "B b", day, id))""",
    "INSERT INTO kinds.parent VALUES (1, 'x'), (2, 'y')",
    """INSERT INTO kinds.child SELECT g + 100, 1, 'x', 'ok', g, 12345678901234567890.0123456789,
        1.25, '1 mon 2 days 03:00', '2020-01-01 10:00+02', 'infinity', '10:00', '10:00+02',
        ARRAY[1, g], gen_random_uuid(), '\\x01ff', '{"a": 1}', 'ab', '10.0.0.1', 'NaN', 3.5,
        g % 2 = 0, 'it''s ' || g FROM generate_series(1, 30) g""",
    "CREATE TABLE kinds.nobody (id int PRIMARY KEY, at date, n numeric(9, 3), t text)",
)


def test_every_type_is_read_and_written_back(postgres: Server) -> None:
    postgres.run(*EVERYTHING)
    found = read(postgres.url(schema="kinds"))
    child, rows = found.schema.table("child"), found.tables["child"]
    first = {
        name: column[0].as_py()
        for name, column in zip(rows.column_names, rows.columns, strict=True)
    }
    assert str(first["exact"]) == "12345678901234567890.0123456789"
    assert first["day"] is None  # infinity is no day
    assert first["small"] is None
    assert first["length"].days == 32
    assert first["instant"].isoformat() == "2020-01-01T08:00:00+00:00"
    assert first["address"] == "10.0.0.1"
    assert child.column("raw").kind == child.column("list").kind == "text"
    assert "read as text" in child.column("doc").why
    assert child.column("mood").levels == ("sad", "ok", "happy")
    assert child.column("price").minimum is None
    assert Range(column="price", minimum=0.01) in child.constraints
    kinds = {c.name: c.kind for c in found.schema.table("nobody").columns}
    assert kinds == {"id": "identifier", "at": "datetime", "n": "number", "t": "category"}

    write_database(found, postgres.url(), "again")
    again = read(postgres.url(schema="again"))
    assert again.tables["child"].equals(rows)
    assert again.schema.table("child").foreign_keys == child.foreign_keys
    assert set(again.schema.table("child").constraints) == set(child.constraints)
    types = "SELECT column_name, data_type, udt_name FROM information_schema.columns WHERE {} "
    types += "AND table_name = 'child' ORDER BY ordinal_position"
    first_types = postgres.rows(types.format("table_schema = 'kinds'"))
    assert first_types == postgres.rows(types.format("table_schema = 'again'"))


def test_a_rule_about_a_key_is_left_to_the_database(postgres: Server) -> None:
    postgres.run(
        "CREATE SCHEMA ruled",
        "CREATE TABLE ruled.t (id int PRIMARY KEY CHECK (id > 0), up int REFERENCES ruled.t,"
        " x int CHECK (x > 0), CHECK (up < id), CHECK (id <= x))",
        "INSERT INTO ruled.t SELECT 3 * g * g, NULL, 3 * g * g + 1 FROM generate_series(1, 300) g",
    )
    found = read(postgres.url(schema="ruled"))
    spec = found.schema.table()
    assert spec.column("id").kind == spec.column("up").kind == "identifier"
    assert spec.constraints == (Range(column="x", minimum=1),)
    assert len(spec.checks) == 4


def test_a_table_that_is_not_there_is_named(postgres: Server) -> None:
    postgres.run("CREATE SCHEMA one", "CREATE TABLE one.people (id int)")
    wanted = PEOPLE.model_copy(
        update={"tables": (PEOPLE.table(), Table(name="poeple", columns=(Identifier(name="id"),)))}
    )
    with pytest.raises(SourceError, match=r"no table 'poeple'\. Did you mean 'people'"):
        read(postgres.url(schema="one"), schema=wanted)


def test_an_application_can_go_on_with_the_copy(postgres: Server) -> None:
    """Defaults, running numbers and what follows a deletion work as in the source."""
    postgres.run(
        "CREATE SCHEMA shop",
        """CREATE TABLE shop.customer (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
           since date DEFAULT '2020-01-01', name text)""",
        """CREATE TABLE shop.sale (id serial PRIMARY KEY, customer int NOT NULL
           REFERENCES shop.customer ON DELETE CASCADE)""",
        "CREATE TABLE shop.empty (id bigserial PRIMARY KEY)",
        "INSERT INTO shop.customer (name) VALUES ('a'), ('b')",
        "INSERT INTO shop.sale (customer) VALUES (1), (1), (2)",
    )
    found = read(postgres.url(schema="shop"))
    write(found, postgres.url(schema="shop2"))
    postgres.run(
        "INSERT INTO shop2.customer (name) VALUES ('c')",
        "INSERT INTO shop2.sale (customer) VALUES (3)",
        "INSERT INTO shop2.empty DEFAULT VALUES",
        "DELETE FROM shop2.customer WHERE id = 1",
    )
    customers = postgres.rows("SELECT id, since::text, name FROM shop2.customer ORDER BY 1")
    assert customers == [(2, "2020-01-01", "b"), (3, "2020-01-01", "c")]
    assert postgres.rows("SELECT id, customer FROM shop2.sale ORDER BY 1") == [(3, 2), (4, 3)]
    assert postgres.rows("SELECT id FROM shop2.empty") == [(1,)]


def test_what_is_not_there_is_said(postgres: Server) -> None:
    with pytest.raises(SourceError, match="no schema 'bnak'"):
        read(postgres.url(schema="bnak"))
    postgres.run("CREATE SCHEMA IF NOT EXISTS hollow")
    with pytest.raises(SourceError, match=r"schema 'hollow' .* has no table"):
        read(postgres.url(schema="hollow"))


def test_a_table_that_may_not_be_read_is_named(postgres: Server) -> None:
    postgres.run(
        "CREATE SCHEMA shut",
        "CREATE TABLE shut.safe (id int)",
        "CREATE ROLE stranger LOGIN",
        "GRANT USAGE ON SCHEMA shut TO stranger",
    )
    with pytest.raises(SourceError, match=r"table 'safe' .* permission denied"):
        read(postgres.url(user="stranger", schema="shut"))
    with pytest.raises(SourceError, match="does not let this user make schema 'mine'"):
        write_database(people([1], [None], [20]), postgres.url(user="stranger"), "mine")


def test_keys_are_found_where_none_are_declared(
    postgres: Server, real_data: Callable[[str], Path]
) -> None:
    given = bank(real_data("berka"))
    kept = ("account", "card", "disp")
    bare = tuple(
        given.schema.table(name).model_copy(
            update={"primary_key": (), "foreign_keys": (), "checks": ()}
        )
        for name in kept
    )
    tables = {name: given.tables[name] for name in kept}
    write_database(Dataset(Schema(tables=bare, dialect="postgres"), tables), postgres.url(), "bare")
    found = read(postgres.url(schema="bare")).schema
    assert found.table("disp").primary_key == ("disp_id",)
    assert [key.table for key in found.table("card").foreign_keys] == ["disp"]
