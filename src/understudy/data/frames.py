"""Frames at the door: pandas, polars, Arrow and DuckDB in, the same library out (narwhals)."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from understudy.data.cells import refuse_empty, refuse_repeats, tidy
from understudy.data.dataset import Dataset
from understudy.data.dates import as_spelled
from understudy.errors import SourceError


def from_frame(frame: Any, *, rowless: bool = False) -> pa.Table:
    """An Arrow table; raises `SourceError` for what is no frame, or has no columns, or no rows
    unless it may be `rowless`."""
    table = _as_arrow(frame)
    refuse_repeats(table.column_names, "the frame")
    refuse_empty(table, "the frame", rowless=rowless)
    return tidy(table)


def _as_arrow(frame: Any) -> pa.Table:
    if isinstance(frame, pa.Table):
        return frame
    if _library(frame) == "duckdb":
        found = frame.to_arrow_table() if hasattr(frame, "to_arrow_table") else frame.arrow()
        return found if isinstance(found, pa.Table) else found.read_all()
    import narwhals as nw

    try:
        native = nw.from_native(frame)
        table = (native.collect() if isinstance(native, nw.LazyFrame) else native).to_arrow()
    except (pa.ArrowException, nw.exceptions.NarwhalsError) as error:
        what = " ".join(str(error).split())
        raise SourceError(f"the frame cannot be read: {what}") from None
    except TypeError:
        raise SourceError(
            f"cannot read a {type(frame).__name__}. Give a path, or a pandas, polars, Arrow or "
            "DuckDB frame."
        ) from None
    names = [str(name) for name in table.column_names if not str(name).startswith("__index_level")]
    return table.select(names).replace_schema_metadata(None)


def _library(frame: Any) -> str:
    return type(frame).__module__.split(".")[0].lstrip("_")


def like(dataset: Dataset, frame: Any) -> Any:
    """The only table of `dataset` as the library of `frame`, with the dtypes of its columns."""
    table = as_spelled(dataset.table, dataset.schema.table())
    library = _library(frame)
    if library == "polars":
        import polars as pl

        made = pl.from_arrow(table)
        source = frame.collect_schema() if isinstance(frame, pl.LazyFrame) else frame.schema
        return made.cast(
            {n: t for n, t in source.items() if n in made.columns and made.schema[n] != t}
        )
    if library == "pandas":
        return _as_pandas(table, frame)
    if library == "duckdb":
        import duckdb

        return duckdb.from_arrow(table)
    source = frame.schema
    for i, name in enumerate(table.column_names):
        if name in source.names and source.field(name).type != table.schema.field(i).type:
            table = table.set_column(i, name, table[name].cast(source.field(name).type))
    return table


def _as_pandas(table: pa.Table, frame: Any) -> Any:
    made = table.to_pandas()
    for name in made.columns:
        if name not in frame.columns or made[name].dtype == frame[name].dtype:
            continue
        wanted = frame[name].dtype
        if str(wanted) == "category":
            import pandas as pd

            wanted = pd.CategoricalDtype(frame[name].cat.categories, frame[name].cat.ordered)
        made[name] = made[name].astype(wanted)
    return made
