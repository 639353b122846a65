"""Whole databases on the command line: folders, files, a server; with and without a budget."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml

from tests.bank import as_files, bank
from tests.cli.call import Shell
from tests.data.postgres_server import Server
from understudy.data import Dataset, read, split, write
from understudy.data.databases import write_database
from understudy.encoding.constraints import violations
from understudy.privacy.ledger import Ledger
from understudy.privacy.statement import recompute
from understudy.schema.plan import Engine, NoPrivacy, Plan, Source, dump_plan

UNIT = ("--unit", "customer.customer_id")


def keys_hold(data: Dataset) -> bool:
    """Whether every foreign key names a row and every primary key is unique."""
    for spec in data.schema.tables:
        table = data.tables[spec.name]
        for key in spec.foreign_keys:
            parents = set(data.tables[key.table][key.references[0]].to_pylist())
            if not set(table[key.columns[0]].drop_null().to_pylist()) <= parents:
                return False
        own = table[spec.primary_key[0]].to_pylist()
        if len(set(own)) != len(own):
            return False
    return True


def made_in(folder: Path, data: Dataset) -> Dataset:
    tables = {n: pq.read_table(folder / "synthetic" / f"{n}.parquet") for n in data.tables}
    return Dataset(data.schema, tables)


def planned(shell: Shell, data: Dataset) -> str:
    """`plan.yaml` of the bank's own schema over its files."""
    as_files(data, shell.folder / "bank")
    plan = Plan(source=Source(path="bank"), data=data.schema)
    (shell.folder / "plan.yaml").write_text(dump_plan(plan))
    return "plan.yaml"


def test_a_folder_runs_without_a_plan(shell: Shell) -> None:
    data = bank(300)
    as_files(data, shell.folder / "bank")
    done = shell("run", "bank", *UNIT, "--no-dp", "--seed", "1", "--json")
    assert done.code in (0, 3, 4), done.err
    found = json.loads(done.out)
    assert found["source"]["tables"] == 4
    assert found["engine"]["name"] == "relational"
    made = made_in(shell.folder / "runs" / "bank", data)
    assert keys_hold(made)
    assert made.tables["branch"].num_rows == data.tables["branch"].num_rows
    lines = {line["name"]: line["ruling"] for line in found["verdict"]["lines"]}
    assert lines["keys"] == "PASS"
    assert lines["valid rows"] == "PASS"
    page = (shell.folder / "runs" / "bank" / "report.html").read_text()
    assert "customer_id" in page


def test_a_rerun_goes_on_and_gives_the_same_bytes(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = planned(shell, bank(300))
    assert shell("run", plan, "--no-dp", "--seed", "1", "--out", "whole").code in (0, 3, 4)
    first = (shell.folder / "whole" / "synthetic" / "event.parquet").read_bytes()
    again = shell("run", plan, "--no-dp", "--seed", "1", "--out", "whole", "--threads", "2")
    assert again.code in (0, 3, 4)
    assert shell("run", plan, "--no-dp", "--seed", "1", "--out", "other", "--threads", "2").code
    assert (shell.folder / "other" / "synthetic" / "event.parquet").read_bytes() == first


def test_a_budget_covers_every_table(shell: Shell) -> None:
    data = bank(600)
    done = shell("run", planned(shell, data), "--epsilon", "5", "--seed", "1", "--json")
    assert done.code in (0, 3, 4), done.err
    found = json.loads(done.out)
    stated = found["privacy"]["statement"]
    assert stated["epsilon"] <= 5
    assert stated["rows_per_unit"] == {}, "no bound was declared"
    assert any("rows of a unit" in event["query"] for event in stated["events"])
    assert recompute(stated).epsilon == pytest.approx(stated["epsilon"])
    assert stated["unit"] == "customer.customer_id"
    with Ledger() as ledger:
        (account,) = ledger.accounts()
        asked = [entry.query for entry in ledger.entries(*account) if entry.kind == "draw"]
    for part in ("bounds", "customer", "account", "event, looks", "event, who", "event, nexts"):
        assert any(query.startswith(part) for query in asked), part
    made = made_in(shell.folder / "runs" / "bank", data)
    assert keys_hold(made)
    balance = data.schema.table("event").constraints[0]
    assert not violations(balance, made.tables["event"]).any()
    known = set(data.tables["customer"]["customer_id"].to_pylist())
    assert not known & set(made.tables["customer"]["customer_id"].to_pylist())


def test_the_price_is_told_before_anything_is_spent(shell: Shell) -> None:
    told = shell("run", planned(shell, bank(100)), "--epsilon", "1", "--plan-only")
    assert told.code == 0
    assert "table event:" in told.out
    assert "nothing was spent" in told.out


def test_fit_and_sample_into_a_database_file(shell: Shell) -> None:
    data = bank(200)
    write(data, shell.folder / "bank.duckdb")
    run = shell("run", "bank.duckdb", *UNIT, "--no-dp", "--seed", "2", "--out", "r")
    assert run.code in (0, 3, 4), run.err
    made = shell("sample", "r", "-n", "50", "-o", "small.sqlite")
    assert made.code == 0, made.err
    small = read(shell.folder / "small.sqlite")
    assert small.tables["customer"].num_rows == 50
    assert keys_hold(small)


def test_a_server_to_a_server(shell: Shell, postgres: Server) -> None:
    data = bank(300)
    postgres.run('DROP SCHEMA IF EXISTS "run_source" CASCADE')
    postgres.run('DROP SCHEMA IF EXISTS "run_target" CASCADE')
    write_database(data, postgres.url(), schema="run_source")
    source, target = postgres.url(schema="run_source"), postgres.url(schema="run_target")
    run = shell("run", source, *UNIT, "--no-dp", "--seed", "1", "--out", "r", "--to", target)
    assert run.code in (0, 3, 4), run.err
    written = postgres.has_schema("run_target")
    assert written == (run.code == 0)
    if not written:
        released = shell("release", "r", "--override", "read by a test", "--to", target)
        assert released.code == 0, released.err
    rows = postgres.rows("SELECT count(*) FROM run_target.event")
    made = made_in(shell.folder / "r", read(source))
    assert rows == [(made.tables["event"].num_rows,)]
    keys = "SELECT count(*) FROM pg_constraint WHERE connamespace = '{}'::regnamespace"
    assert postgres.rows(keys.format("run_target")) == postgres.rows(keys.format("run_source"))
    again = shell("release", "r", "--override", "read by a test", "--to", target)
    assert again.code == 2
    assert "run_target" in again.err


def test_no_password_is_kept(shell: Shell, postgres: Server) -> None:
    from tests.data.postgres_server import PASSWORD

    postgres.run('DROP SCHEMA IF EXISTS "guarded_source" CASCADE')
    write_database(bank(60), postgres.url(), schema="guarded_source")
    postgres.run(
        'GRANT USAGE ON SCHEMA "guarded_source" TO guarded',
        'GRANT SELECT ON ALL TABLES IN SCHEMA "guarded_source" TO guarded',
    )
    from urllib.parse import quote

    url = postgres.url(user=f"guarded:{quote(PASSWORD, safe='')}", schema="guarded_source")
    run = shell("run", url, *UNIT, "--no-dp", "--seed", "1", "--out", "r")
    assert run.code in (0, 3, 4), run.err
    secrets = (PASSWORD, quote(PASSWORD, safe=""))
    for path in (shell.folder / "r").rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert not any(secret.encode() in content for secret in secrets), path
    assert not any(secret in run.out + run.err for secret in secrets)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("bank",), "--unit TABLE.COLUMN"),
        (("bank", "--unit", "customer.customr_id"), "customer_id"),
        (("bank", "--unit", "custmer.customer_id"), "customer"),
        (("bank", *UNIT, "--engine", "tree"), "relational"),
        (("bank", *UNIT, "--balance", "segment=uniform"), "one table"),
        (("bank", *UNIT, "--target", "segment"), "customer.segment"),
        (("bank", *UNIT, "--target", "customer.age_"), "age"),
        (("bank", *UNIT, "--to", "elsewhere.csv"), "--to"),
        (("postgresql://nobody@localhost:1/none", *UNIT), "localhost"),
        (("mysql://localhost/bank", *UNIT), "postgresql"),
    ],
)
def test_mistakes_say_what_to_do(shell: Shell, words: tuple[str, ...], said: str) -> None:
    as_files(bank(60), shell.folder / "bank")
    answer = shell("run", *words, "--no-dp")
    assert answer.code == 2
    assert said in answer.err
    assert "Traceback" not in answer.err


def test_orphans_are_counted_and_masked(shell: Shell) -> None:
    plan = planned(shell, bank(60))
    file = shell.folder / "bank" / "event.csv"
    head, row, *rest = file.read_text().splitlines()
    cells = row.split(",")
    cells[1] = "987654"
    file.write_text("\n".join([head, ",".join(cells), *rest]) + "\n")
    refused = shell("run", plan, "--no-dp")
    assert refused.code == 2
    assert "1 row" in refused.err
    assert "987654" not in refused.err
    content = yaml.safe_load((shell.folder / plan).read_text())
    for table in content["data"]["tables"]:
        for key in table.get("foreign_keys", ()):
            key["orphans"] = "drop"
    (shell.folder / plan).write_text(yaml.safe_dump(content))
    assert shell("run", plan, "--no-dp", "--seed", "1").code in (0, 3, 4)


def test_a_budget_needs_to_know_whose_rows_are_whose(shell: Shell) -> None:
    """Inferred keys would follow from the rows: under a budget the plan must say them."""
    as_files(bank(60), shell.folder / "bank")
    refused = shell("run", "bank", *UNIT, "--epsilon", "1")
    assert refused.code == 2
    assert "understudy inspect" in refused.err


def test_clocks_make_histories_only_where_there_is_one(shell: Shell) -> None:
    data = bank(60)
    event = data.schema.table("event")
    timeless = event.model_copy(
        update={
            "columns": tuple(c for c in event.columns if c.name != "booked"),
            "order_by": None,
            "constraints": (),
        }
    )
    tables = {**data.tables, "event": data.tables["event"].drop_columns(["booked"])}
    found = Dataset(data.schema.with_table(timeless), tables)
    as_files(found, shell.folder / "bank")
    plan = Plan(source=Source(path="bank"), data=found.schema, engine=Engine(), privacy=NoPrivacy())
    (shell.folder / "plan.yaml").write_text(dump_plan(plan))
    assert shell("run", "plan.yaml", "--seed", "1").code in (0, 3, 4)


def test_anybodys_database_is_judged(shell: Shell) -> None:
    """Copied people under their own keys fail, whoever made the database."""
    parts = split(bank(900), seed=0)
    for name in ("train", "holdout", "reference"):
        as_files(getattr(parts, name), shell.folder / name)
    real = ("audit", "--train", "train", "--holdout", "holdout", "--reference", "reference")
    judged = shell(*real, "--synthetic", "train", *UNIT, "--json")
    assert judged.code == 3
    lines = {x["name"]: x["ruling"] for x in json.loads(judged.out)["verdict"]["lines"]}
    assert lines["copies"] == "FAIL"
    assert lines["keys"] == "PASS"
    assert shell(*real, "--synthetic", "train").code == 2
    alone = shell("audit", "--train", "train", "--synthetic", "train", *UNIT)
    assert alone.code == 2
    assert "--holdout" in alone.err
