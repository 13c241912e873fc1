"""Rows of a shop's export to rows of products: those of further variants and pictures are left out.

Shopify writes a product over several rows of one handle, of which only the first has a title.
WooCommerce gives a variation a row of its own, which names its product as the parent.
"""

from collections.abc import Collection, Iterable, Iterator

from indexer.reading.notes import ReadingNotes
from indexer.reading.rows import BadRow, Row

_SKU = "Variant SKU"
_VARIANT_COLUMNS = frozenset((_SKU, "Variant Price", "Option1 Value", "Image Position"))
_WOO_COLUMNS = frozenset(("Type", "SKU", "Name", "Regular price", "Visibility in catalog"))
_MIN_WOO_COLUMNS = 4
_ID_COLUMNS, _TITLE_COLUMNS = ("id", "Handle"), ("title", "Title")


def drop_variants(rows: Iterable[Row | BadRow], notes: ReadingNotes) -> Iterator[Row | BadRow]:
    """Yield the rows of products, without those of their variants and pictures.

    A product keeps the SKUs of all variants that go on with it, by which orders name it.

    Args:
        rows: Of one source.
        notes: Where it is told how many were left out.
    """
    return _join_variants(_drop_variations(rows, notes), notes)


def list_comma_columns(header: Collection[str]) -> frozenset[str]:
    """Return the columns of a shop's export of which the format says that commas separate tags.

    Args:
        header: The source's own names of its columns.
    """
    names = frozenset(header)
    if "Handle" in names and not _VARIANT_COLUMNS.isdisjoint(names):
        return frozenset(("Tags",))
    is_woo = len(_WOO_COLUMNS & names) >= _MIN_WOO_COLUMNS
    return frozenset(("Tags", "Categories")) if is_woo else frozenset()


def _drop_variations(rows: Iterable[Row | BadRow], notes: ReadingNotes) -> Iterator[Row | BadRow]:
    """Yield the rows without variations of WooCommerce."""
    count, source = 0, ""
    for row in rows:
        if isinstance(row, Row) and _is_variation(row):
            count, source = count + 1, row.source
        else:
            yield row
    if count:
        notes.add(
            f"{source}: {count:,} rows are variations of the product that they name as their "
            f"parent, and are left out"
        )


def _join_variants(rows: Iterable[Row | BadRow], notes: ReadingNotes) -> Iterator[Row | BadRow]:
    """Yield the rows without those of Shopify that only go on with the product before them."""
    product: Row | None = None  # which the next rows may go on with
    skus: list[object] = []
    count, source = 0, ""
    for row in rows:
        if product is not None and isinstance(row, Row) and _goes_on_with(row, product):
            count, source = count + 1, row.source
            skus.append(row.values.get(_SKU))
            continue
        if product is not None:
            yield _add_skus(product, skus)
            product = None
        if isinstance(row, BadRow) or _VARIANT_COLUMNS.isdisjoint(row.values):
            yield row
        else:
            product, skus = row, [row.values.get(_SKU)]
    if product is not None:
        yield _add_skus(product, skus)
    if count:
        notes.add(
            f"{source}: {count:,} rows without a title go on with the product before them "
            f"(variants, pictures) and are left out; it keeps their SKUs"
        )


def _is_variation(row: Row) -> bool:
    """Whether a row is a variation of WooCommerce: its type says so, and it has a parent."""
    return row.values.get("Type") == "variation" and row.values.get("Parent") is not None


def _goes_on_with(row: Row, product: Row) -> bool:
    product_id = _find(row, _ID_COLUMNS)
    return (
        product_id is not None
        and product_id == _find(product, _ID_COLUMNS)
        and _find(row, _TITLE_COLUMNS) is None
    )


def _add_skus(product: Row, skus: list[object]) -> Row:
    """Return a product with the SKUs of its variants, if they have more than one."""
    known = list(dict.fromkeys(str(sku) for sku in skus if sku is not None))
    if len(known) < 2:
        return product
    return Row(product.source, product.line, {**product.values, _SKU: known}, product.findings)


def _find(row: Row, columns: tuple[str, ...]) -> object:
    return next((row.values[name] for name in columns if row.values.get(name) is not None), None)
