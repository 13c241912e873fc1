"""Rows of a shop's export to rows of products: those of further variants and pictures are left out.

Shopify writes a product over several rows of one handle, of which only the first has a title.
WooCommerce gives a variation a row of its own, which names its product as the parent.
"""

from collections.abc import Iterable, Iterator

from indexer.reading.notes import ReadingNotes
from indexer.reading.rows import BadRow, Row

_VARIANT_COLUMNS = frozenset(("Variant SKU", "Variant Price", "Option1 Value", "Image Position"))
_ID_COLUMNS, _TITLE_COLUMNS = ("id", "Handle"), ("title", "Title")


def drop_variants(rows: Iterable[Row | BadRow], notes: ReadingNotes) -> Iterator[Row | BadRow]:
    """Yield the rows without those that only go on with the product of the row before.

    Args:
        rows: Of one source.
        notes: Where it is told how many were left out.
    """
    last_id, dropped_count, variation_count, source = None, 0, 0, ""
    for row in rows:
        if isinstance(row, Row) and _is_variation(row):
            variation_count, source = variation_count + 1, row.source
            continue
        if isinstance(row, BadRow) or _VARIANT_COLUMNS.isdisjoint(row.values):
            yield row
            continue
        product_id = _find(row, _ID_COLUMNS)
        if product_id is not None and product_id == last_id and _find(row, _TITLE_COLUMNS) is None:
            dropped_count, source = dropped_count + 1, row.source
            continue
        last_id = product_id
        yield row
    if dropped_count:
        notes.add(
            f"{source}: {dropped_count:,} rows without a title go on with the product before them "
            f"(variants, pictures) and are left out"
        )
    if variation_count:
        notes.add(
            f"{source}: {variation_count:,} rows are variations of the product that they name as "
            f"their parent, and are left out"
        )


def _is_variation(row: Row) -> bool:
    """Whether a row is a variation of WooCommerce: its type says so, and it has a parent."""
    return row.values.get("Type") == "variation" and row.values.get("Parent") is not None


def _find(row: Row, columns: tuple[str, ...]) -> object:
    return next((row.values[name] for name in columns if row.values.get(name) is not None), None)
