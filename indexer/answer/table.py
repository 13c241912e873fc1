"""The hits of an answer to a table of columns, for pyarrow and pandas."""

import json
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

from indexer.answer.hits import Hit

_MAX_INT64 = 2**63 - 1


def build_arrow_table(hits: Sequence[Hit]) -> Any:
    """Return a `pyarrow.Table` with a row for each hit; see `Answer.to_arrow`."""
    import pyarrow as pa

    columns = {
        "id": pa.array([hit.id for hit in hits], pa.string()),
        "rank": pa.array([hit.rank for hit in hits], pa.int64()),
        "score": pa.array([hit.score for hit in hits], pa.float64()),
        "propensity": pa.array([hit.propensity for hit in hits], pa.float64()),
        "reasons": pa.array([_to_json(hit.reasons) for hit in hits], pa.string()),
    }
    types = {str: pa.string(), bool: pa.bool_(), int: pa.int64(), float: pa.float64()}
    for name, (kind, values) in _collect_scalar_fields([hit.item for hit in hits]).items():
        column = f"item.{name}" if name in columns else name
        columns[column] = pa.array(values, types[kind])
    return pa.table(columns)


def build_pandas_frame(hits: Sequence[Hit]) -> Any:
    """Return a `pandas.DataFrame` with a row for each hit.

    Raises:
        ImportError: If pandas is not installed.
    """
    try:
        import_module("pandas")  # pyarrow's own error would not name the remedy
    except ImportError as error:
        raise ImportError(
            "Answer.to_pandas needs pandas, which is not installed; run `pip install pandas`, "
            "or use Answer.to_arrow"
        ) from error
    return build_arrow_table(hits).to_pandas()


def _collect_scalar_fields(
    items: Sequence[Mapping[str, Any]],
) -> dict[str, tuple[type, list[Any]]]:
    """Fields other than the id that hold scalars of one type, with the value of each item.

    Integers and floats together become floats. Other mixtures, and integers beyond 64 bits, become
    text. A field with a list or an object among its values is left out.
    """
    fields = {}
    for name in dict.fromkeys(name for item in items for name in item if name != "id"):
        values = [item.get(name) for item in items]
        kind = _find_kind([value for value in values if value is not None])
        if kind is not None:
            fields[name] = (kind, [None if v is None else _convert(v, kind) for v in values])
    return fields


def _convert(value: Any, kind: type) -> Any:
    if kind is str and not isinstance(value, str):
        return _to_json(value)
    return float(value) if kind is float else value


def _find_kind(values: Sequence[Any]) -> type | None:
    """The one type that can hold all of some values; None if there is none, or there are none."""
    kinds = {type(value) for value in values}
    if not kinds or not kinds <= {str, bool, int, float}:
        return None
    if any(isinstance(value, int) and abs(value) > _MAX_INT64 for value in values):
        return str
    if len(kinds) == 1:
        return kinds.pop()
    return float if kinds == {int, float} else str


def _to_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
