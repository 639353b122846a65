"""Peers beside us on the Czech bank's eight tables: SDV HMA, SDV PAR, MOSTLY AI's SDK.

    python -m benchmarks peers_databases
    python -m benchmarks.peers_databases [understudy] [hma] [par] [mostlyai]

All fit the same training accounts and are judged as we are (`benchmarks.bank.judge`), on one
split, each by as much of the bank as it makes. SDV's HMA refuses more than five tables and more
than one key in a row, so it gets the account and what hangs on it; PAR makes histories with their
accounts.

Peers run in an environment of their own (see `benchmarks.peers`, and there `pip install
'mostlyai[local]'`, then torchvision and torchaudio out again), for at most `CPU` seconds a process;
what one made stays in `runs/peers_databases` and is not made again. Keys, kinds and dates are
declared to each; the district of an account or client is a category to peers, and its table is
kept. MOSTLY AI hangs `disp` on the account and matches clients; it trains for at most `MINUTES` a
table on the wall clock, so run it on a machine with nothing else to do.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from benchmarks.bank import Figures, costs, judge, parted, report
from benchmarks.berka import IDENTIFIERS
from benchmarks.measure import Cost, cost_of
from benchmarks.peers import PYTHON
from understudy.data import Dataset, Split, write
from understudy.schema import Schema

SEED = 0
CPU = 1500
MINUTES = 10
FOLDER = Path("runs") / "peers_databases"
NAMES = {
    "understudy": "understudy",
    "hma": "SDV HMA",
    "par": "SDV PAR",
    "mostlyai": "MOSTLY AI",
}
STAR = ("district", "account", "loan", "order", "trans")
EVENTS = ("district", "account", "trans")

BEGIN = """
import json, sys
from pathlib import Path
import pandas as pd
source, made = Path(sys.argv[1]), Path(sys.argv[2])
plan = json.loads((source / 'plan.json').read_text())
def among(*names):
    for name in set(plan) - set(names or plan) | {'district'}:
        del plan[name]
    for spec in plan.values():
        spec['links'] = [link for link in spec['links'] if link[1] in plan]
        spec['kinds'] |= {c: 'category' for c in spec['kinds'] if c == 'district_id'}
frames = {name: pd.read_parquet(source / f'{name}.parquet', columns=list(spec['kinds']))
          for name, spec in plan.items()}
for name, spec in plan.items():
    for column, kind in spec['kinds'].items():
        if kind == 'datetime':
            frames[name][column] = pd.to_datetime(frames[name][column])
def keep(name, frame):
    made.mkdir(parents=True, exist_ok=True)
    frame.to_parquet(made / f'{name}.parquet', index=False)
"""
SDV = """
KINDS = {'number': {'sdtype': 'numerical'}, 'category': {'sdtype': 'categorical'},
         'identifier': {'sdtype': 'id'},
         'datetime': {'sdtype': 'datetime', 'datetime_format': '%Y-%m-%d'}}
from sdv.metadata import Metadata
"""
HMA = """
from sdv.multi_table import HMASynthesizer
among('account', 'loan', 'order', 'trans')
tables, links = {}, []
for name, spec in plan.items():
    columns = {column: KINDS[kind] for column, kind in spec['kinds'].items()}
    tables[name] = {'primary_key': spec['key'], 'columns': columns}
    links += [{'parent_table_name': to, 'child_table_name': name, 'parent_primary_key': key,
               'child_foreign_key': column} for column, to, key in spec['links']]
metadata = {'METADATA_SPEC_VERSION': 'V1', 'tables': tables, 'relationships': links}
metadata = Metadata.load_from_dict(metadata)
model = HMASynthesizer(metadata, verbose=False)
model.fit({name: frames[name] for name in plan})
for name, frame in model.sample(len(frames['account']), main_table_name='account').items():
    keep(name, frame)
keep('district', frames['district'])
"""
PAR = """
from sdv.sequential import PARSynthesizer
among('account', 'trans')
account, trans = frames['account'], frames['trans'].drop(columns='trans_id')
account = account.rename(columns={'date': 'opened'}).astype({'district_id': str})
both = trans.merge(account, on='account_id').sort_values(['account_id', 'date'])
kinds = {**plan['trans']['kinds'], **plan['account']['kinds']}
kinds['opened'] = 'datetime'
columns = {c: KINDS[kinds[c]] for c in both.columns}
table = {'columns': columns, 'sequence_key': 'account_id', 'sequence_index': 'date'}
metadata = {'METADATA_SPEC_VERSION': 'V1', 'tables': {'trans': table}, 'relationships': []}
metadata = Metadata.load_from_dict(metadata)
context = ['frequency', 'district_id', 'opened']
model = PARSynthesizer(metadata, context_columns=context, cuda=False)
model.fit({'trans': both})
out = model.sample_sequences(both['account_id'].nunique())
out = out['trans']
out['trans_id'] = range(1, len(out) + 1)
opened = out.drop_duplicates('account_id').drop(columns='date')
opened = opened.rename(columns={'opened': 'date'}).astype({'district_id': int})
keep('account', opened[list(frames['account'].columns)])
keep('trans', out[list(frames['trans'].columns)])
keep('district', frames['district'])
"""
MOSTLY = """
import tempfile
from mostlyai.sdk import MostlyAI
CODES = {'number': 'TABULAR_NUMERIC_AUTO', 'category': 'TABULAR_CATEGORICAL',
         'datetime': 'TABULAR_DATETIME'}
CONTEXT = {**dict.fromkeys(('disp', 'loan', 'order', 'trans'), 'account'), 'card': 'disp'}
among()
frames['trans'] = frames['trans'].sort_values(['account_id', 'date'])
tables = []
for name, spec in plan.items():
    links = spec['links']
    keys = {spec['key'], *(column for column, _, _ in links)}
    kinds = {c: k for c, k in spec['kinds'].items() if c not in keys}
    tables.append({
        'name': name, 'data': frames[name][[*keys, *kinds]], 'primary_key': spec['key'],
        'foreign_keys': [
            {'column': column, 'referenced_table': to, 'is_context': CONTEXT[name] == to}
            for column, to, _ in links],
        'columns': [*({'name': c} for c in keys),
                    *({'name': c, 'model_encoding_type': CODES[k]} for c, k in kinds.items())],
        'tabular_model_configuration': {'max_training_time': MINUTES, 'enable_model_report': False},
    })
with tempfile.TemporaryDirectory() as folder:
    mostly = MostlyAI(local=True, local_dir=folder, quiet=True)
    generator = mostly.train(config={'name': 'bank', 'tables': tables}, progress_bar=False)
    size = {name: len(frames[name]) for name in ('account', 'client')}
    done = mostly.generate(generator, size=size, progress_bar=False)
    for name, frame in done.data(return_type='dict').items():
        if 'district_id' in frame:
            frame['district_id'] = pd.to_numeric(frame['district_id'], errors='coerce')
        keep(name, frame)
keep('district', frames['district'])
"""
SCRIPTS = {
    "hma": BEGIN + SDV + HMA,
    "par": BEGIN + SDV + PAR,
    "mostlyai": BEGIN + MOSTLY.replace("MINUTES", str(MINUTES)),
}


def run(names: Sequence[str] = tuple(NAMES)) -> None:
    parts = parted(SEED, alone=False)
    made, said = {}, []
    for name in names:
        try:
            cost, folder = made_by(name, parts.train)
            made[name] = cost, fitting(folder, parts.train)
        except (RuntimeError, OSError, subprocess.SubprocessError) as error:
            said.append(f"{NAMES[name]} did not finish: {str(error)[-200:]}")
    for title, tables in (
        ("The bank, eight tables", tuple(parts.train.tables)),
        ("Accounts and what hangs on them by one key", STAR),
        ("Accounts that have transactions, and these", EVENTS),
    ):
        real = Split(*(only(one, tables) for one in (parts.train, parts.holdout, parts.reference)))
        columns: dict[str, list[Figures]] = {}
        for name, (cost, data) in made.items():
            if not set(tables) <= set(data.tables):
                continue
            found, floor = judge(real, only(data, tables), SEED)
            columns["real entities"] = [floor]
            columns[NAMES[name]] = [{**found, **costs(cost)}]
            print(title, name, found, file=sys.stderr, flush=True)
        report(title, columns)
    print("".join(f"\n{line}" for line in said))


def made_by(name: str, train: Dataset) -> tuple[Cost, Path]:
    """What it cost, and the folder with a Parquet file a table; made once."""
    folder, spent = FOLDER / name, FOLDER / f"{name}.json"
    if spent.exists():
        cpu, wall, peak = json.loads(spent.read_text())
        return Cost(cpu, wall, peak, ""), folder
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    if name == "understudy":
        words = [str(SEED), "account", "0", "0", str(folder)]
        cost = cost_of([sys.executable, "-m", "benchmarks.bank", "make", *words])
    else:
        with tempfile.TemporaryDirectory() as source:
            _hand_over(train, Path(source))
            limited = ["bash", "-c", f'ulimit -t {CPU}; exec "$@"', "peer"]
            cost = cost_of([*limited, PYTHON, "-c", SCRIPTS[name], source, str(folder)])
    spent.write_text(json.dumps([cost.cpu, cost.wall, cost.peak]))
    return cost, folder


def _hand_over(train: Dataset, folder: Path) -> None:
    """Parquet files, and what any peer is told of them."""
    write(train, folder)
    plan = {
        spec.name: {
            "key": spec.primary_key[0],
            "links": [
                (link.columns[0], link.table, link.references[0]) for link in spec.foreign_keys
            ],
            "kinds": {c.name: c.kind for c in spec.columns if c.name not in IDENTIFIERS},
        }
        for spec in train.schema.tables
    }
    (folder / "plan.json").write_text(json.dumps(plan))


def fitting(folder: Path, train: Dataset) -> Dataset:
    """A peer's tables in our types; keys that are no whole numbers are numbered, all alike."""
    tables = {path.stem: pq.read_table(path) for path in sorted(folder.glob("*.parquet"))}
    schema = _part(train.schema, tables)
    for spec in schema.tables:
        pointing = [
            (other.name, link.columns[0])
            for other in schema.tables
            for link in other.foreign_keys
            if link.table == spec.name
        ]
        _number(tables, [(spec.name, spec.primary_key[0]), *pointing])
    typed = {
        name: _typed(table, train.tables[name].schema.remove_metadata())
        for name, table in tables.items()
    }
    return Dataset(schema, typed)


def _number(tables: dict[str, pa.Table], places: Sequence[tuple[str, str]]) -> None:
    columns = [tables[name][column] for name, column in places]
    if all(pa.types.is_integer(values.type) for values in columns):
        return
    texts = [values.cast(pa.string()) for values in columns]
    known = pa.concat_arrays([c for text in texts for c in text.chunks]).unique().drop_null()
    for (name, column), text in zip(places, texts, strict=True):
        numbers = pc.index_in(text, value_set=known).cast(pa.int64())
        at = tables[name].column_names.index(column)
        tables[name] = tables[name].set_column(at, column, numbers)


def _typed(table: pa.Table, like: pa.Schema) -> pa.Table:
    columns = []
    for field in like:
        if field.name not in table.column_names:
            columns.append(pa.nulls(table.num_rows, field.type))
            continue
        values = table[field.name]
        if pa.types.is_integer(field.type) and pa.types.is_floating(values.type):
            values = pc.round(values)
        if pa.types.is_date(field.type) and pa.types.is_string(values.type):
            values = pc.utf8_slice_codeunits(values, 0, 10)
        columns.append(values.cast(field.type, safe=False))
    return pa.table(columns, schema=like)


def only(data: Dataset, names: Sequence[str]) -> Dataset:
    """Some of the tables; where these are histories, without accounts that have none."""
    tables = {name: data.tables[name] for name in data.tables if name in names}
    if set(names) == set(EVENTS):
        owners = tables["trans"]["account_id"].unique().drop_null()
        kept = pc.is_in(tables["account"]["account_id"], value_set=owners)
        tables["account"] = tables["account"].filter(kept)
    return Dataset(_part(data.schema, tables), tables)


def _part(schema: Schema, names: Sequence[str] | dict[str, pa.Table]) -> Schema:
    return schema.model_copy(update={"tables": tuple(s for s in schema.tables if s.name in names)})


if __name__ == "__main__":
    run(sys.argv[1:] or tuple(NAMES))
