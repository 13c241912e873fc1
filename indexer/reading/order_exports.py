"""Rows of a shop's export of orders to what its customers did: one row for each line of an order.

Shopify and WooCommerce write the customer, the time and the state of an order in its first row
alone, or in all; every row holds one line: an item and how many of it.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any

from indexer.event_kinds import Event
from indexer.reading.field_parsers import (
    BadValueError,
    is_missing,
    parse_number,
    parse_unix_seconds,
)
from indexer.reading.notes import ReadingNotes
from indexer.reading.rows import BadRow, Row

_REFUND_DELAY_S = 1.0  # after the purchase, where the export does not say when


@dataclass(frozen=True, slots=True)
class OrderColumns:
    """How the columns of one shop system's export of orders are called.

    Attributes:
        shop: Its name.
        order: The number of the order.
        users: Who ordered; of several columns the first that is filled.
        items: What was ordered; of several columns the first that is filled.
        quantities: How many of it; of several columns the first that is filled.
        status: What became of the order.
        ordered_at: When it was made.
        cancelled_at: When it was cancelled; None: the export does not say.
        line_prefixes: Of columns that speak of a line, and not of its order.
    """

    shop: str
    order: str
    users: tuple[str, ...]
    items: tuple[str, ...]
    quantities: tuple[str, ...]
    status: str
    ordered_at: str
    cancelled_at: str | None
    line_prefixes: tuple[str, ...]

    def are_in(self, columns: Collection[str]) -> bool:
        """Whether a source with these columns is such an export."""
        needed = ((self.order,), self.items, self.quantities, (self.status,))
        return not any(set(names).isdisjoint(columns) for names in needed)


_SHOPS = (
    OrderColumns(
        "Shopify", "Name", ("Email",), ("Lineitem sku", "Lineitem name"),
        ("Lineitem quantity",), "Financial Status", "Created at", "Cancelled at", ("Lineitem ",),
    ),
    OrderColumns(
        "WooCommerce", "Order Number",
        ("Email (Billing)", "Billing Email Address", "Customer User ID"),
        ("SKU", "Item Name", "Product ID"), ("Quantity", "Quantity (- Refund)"), "Order Status",
        "Order Date", None,
        ("SKU", "Item", "Quantity", "Product", "Category"),
    ),
)  # fmt: skip
_REFUNDED = frozenset(("refunded", "已退款"))
_CANCELLED = frozenset(("voided", "expired", "cancelled", "canceled", "failed", "已取消", "失败"))
_PARTLY_REFUNDED = "partially_refunded"


def find_order_columns(columns: Collection[str]) -> OrderColumns | None:
    """Return what the columns of an export of orders mean; None if it is none that is known."""
    return next((shop for shop in _SHOPS if shop.are_in(columns)), None)


def split_orders(rows: Iterable[Row | BadRow], notes: ReadingNotes) -> Iterator[Row | BadRow]:
    """Yield what the customers did if the rows are an export of orders, else the rows.

    Each line of an order is a purchase, followed by a refund or a cancellation if the whole order
    was taken back. Columns of the export stay beside ours. The first row that is good tells which
    it is.

    Args:
        rows: Of one source, under its own names.
        notes: Where it is told what the rows were taken for.
    """
    iterator = iter(rows)
    first = None
    for row in iterator:
        if isinstance(row, Row):
            first = row
            break
        yield row
    if first is None:
        return
    rows = chain([first], iterator)
    columns = find_order_columns(first.values)
    if columns is None:
        yield from rows
        return
    orders = _OrderReader(columns)
    for row in rows:
        if isinstance(row, BadRow):
            yield row
        else:
            yield from orders.read(row)
    notes.add(orders.describe(first.source))


class _OrderReader:
    """Reads the rows of an export one after the other, each with what its order's first row says.

    Attributes:
        partly_refunded: Lines of orders of which a part, nobody knows which, was refunded.
        empty_lines: Lines with a quantity of 0.
    """

    def __init__(self, columns: OrderColumns) -> None:
        self._columns = columns
        self._order: Mapping[str, Any] = {}
        self._seen: set[str] = set()  # names of columns
        self.partly_refunded = self.empty_lines = 0

    def read(self, row: Row) -> Iterator[Row]:
        """Yield what a line says its customer did."""
        columns = self._columns
        values = self._complete(row.values)
        self._seen.update(values)
        quantity = _find_first(values, columns.quantities)
        if _is_zero(quantity):
            self.empty_lines += 1
            return
        status = str(values.get(columns.status) or "").strip().lower().replace(" ", "_")
        self.partly_refunded += status == _PARTLY_REFUNDED
        bought = {
            **values,
            "user_id": _find_first(values, (*columns.users, columns.order), no_value="0"),
            "item_id": _find_first(values, columns.items),
            "event": Event.PURCHASE.value,
            "value": quantity,
            "timestamp": values.get(columns.ordered_at),
        }
        taken_back = self._take_back(bought, status)
        if taken_back is None or _may_precede(bought, taken_back):
            yield Row(row.source, row.line, bought, row.findings)
        if taken_back is not None:
            yield Row(row.source, row.line, taken_back, row.findings)

    def _take_back(self, bought: Mapping[str, Any], status: str) -> dict[str, Any] | None:
        """Return what took a purchase back; None if nothing did."""
        name = self._columns.cancelled_at
        cancelled_at = bought.get(name) if name else None
        is_cancelled = status in _CANCELLED or not is_missing(cancelled_at)
        if not is_cancelled and status not in _REFUNDED:
            return None
        event = Event.CANCEL if is_cancelled else Event.REFUND
        at = _find_later(bought["timestamp"], cancelled_at)
        return {**bought, "event": event.value, "timestamp": at}

    def describe(self, source: str) -> str:
        """Return the sentence that tells what was read."""
        columns = self._columns
        items = " or ".join(filter(self._seen.__contains__, columns.items))
        users = " or ".join(filter(self._seen.__contains__, (*columns.users, columns.order)))
        told = (
            f"{source} is read as orders of {columns.shop}: each line is a purchase of {items} by "
            f"{users}, and an order that was refunded or cancelled is taken back"
        )
        if self.partly_refunded:
            told += f"; lines of orders refunded in part, still purchases: {self.partly_refunded:,}"
        if self.empty_lines:
            told += f"; lines with a quantity of 0, which are no events: {self.empty_lines:,}"
        return told

    def _complete(self, values: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return a row with what the first row of its order says of the order."""
        columns = self._columns
        number = values.get(columns.order)
        if not is_missing(number) and number != self._order.get(columns.order):
            self._order = {
                name: value
                for name, value in values.items()
                if not name.startswith(columns.line_prefixes)
            }
            return values
        known = {name: value for name, value in values.items() if not is_missing(value)}
        return {**values, **self._order, **known}


def _find_first(values: Mapping[str, Any], columns: Iterable[str], *, no_value: str = "") -> Any:
    """Return the first cell that is filled; `no_value`, as the id of a guest, counts as empty."""
    found = (values.get(name) for name in columns)
    return next((v for v in found if not is_missing(v) and str(v).strip() != no_value), None)


def _is_zero(quantity: Any) -> bool:
    try:
        return parse_number("quantity", quantity) == 0
    except BadValueError:
        return False


def _find_later(ordered_at: Any, cancelled_at: Any) -> Any:
    """Return when an order was taken back: after it was made, or the undoing would undo nothing."""
    first, second = _find_seconds(ordered_at), _find_seconds(cancelled_at)
    if first is None:
        return ordered_at
    return cancelled_at if second is not None and second > first else first + _REFUND_DELAY_S


def _may_precede(bought: Mapping[str, Any], taken_back: Mapping[str, Any]) -> bool:
    """Whether it is known that the purchase comes first: by its time, or by the order of rows.

    Of a date that the whole column must explain that is not known yet, and the purchase, which
    counts nothing any more, is left out.
    """
    at = bought["timestamp"]
    return is_missing(at) or at != taken_back["timestamp"]


def _find_seconds(at: Any) -> float | None:
    try:
        return parse_unix_seconds("timestamp", at)
    except BadValueError:
        return None
