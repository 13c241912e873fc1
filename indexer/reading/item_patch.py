"""An item and the fields that change to the whole item afterwards. Pure.

A value may bring more than its field holds: `"$5"` is a price and a currency. What a changed field
brings takes the place of what its earlier value brought, unless the patch names that itself. What
only the earlier value could mean goes with it, which is told: that an item was not available too,
if it was not sold (`status` archived) and is now.
"""

from collections.abc import Mapping, Set
from dataclasses import replace
from typing import Any

from indexer.reading.field_parsers import BadValueError
from indexer.reading.findings import FieldFinding
from indexer.reading.item import Item
from indexer.reading.item_parser import ItemParser
from indexer.reading.locations import COORDINATE_FIELDS, find_coordinates
from indexer.reading.rows import Rejection, Row, reject, render_value
from indexer.reading.sale_states import read_sale_state

# What an earlier value of each brought and a later one does not mean any more. A currency and the
# number of ratings stay, as most callers change the number alone.
_COMPANIONS: Mapping[str, tuple[str, ...]] = {
    "price": ("price_details",),
    "rating": ("rating_details",),
    "available": ("stock",),
}


def apply_patch(current: Mapping[str, Any], patch: Mapping[str, Any]) -> Item | Rejection:
    """Return an item after a patch, with what is to be told as its findings.

    Args:
        current: Its fields as they are kept.
        patch: The fields that change; None removes one.

    Returns:
        The item; a `Rejection` with the reason if a field cannot be read or the result is no item.
    """
    parser = ItemParser(keep_readable=False)
    try:
        named = parser.clean_names(patch)
        asked = named.keys() - {"id", "vector"}
        raw_fields = {name: value for name, value in named.items() if name in asked}
        parser.move_place_name(raw_fields)
        own, beside = parser.parse_fields(raw_fields)
        brought = {name: value for name, value in beside.items() if name not in named} | own
        outdated = _find_outdated(asked, current, {**current, **brought})
        outdated -= named.keys()
        kept = {n: v for n, v in current.items() if n not in {*named, *outdated}}
        vector = {} if named.get("vector") is None else {"vector": named["vector"]}
        item = parser.parse({"id": current["id"], **kept, **brought, **vector})
    except BadValueError as error:
        return reject(Row("request", 1, patch), str(error))
    told = _list_changed(outdated, current, item.fields)
    return replace(item, findings=(*parser.findings, *told))


def _find_outdated(
    asked: Set[str], current: Mapping[str, Any], patched: Mapping[str, Any]
) -> set[str]:
    """Return the fields of an item that only meant something beside earlier values."""
    outdated = {name for changed in asked for name in _COMPANIONS.get(changed, ())}
    was_unsold = any(read_sale_state(n, v) is False for n, v in current.items() if n in asked)
    outdated |= {"available"} if was_unsold and current.get("available") is False else set()
    if find_coordinates(current) or find_coordinates(patched):
        outdated |= {*COORDINATE_FIELDS} if "location" in asked else set()
        outdated |= set() if asked.isdisjoint(COORDINATE_FIELDS) else {"location"}
    return outdated & current.keys()


def _list_changed(
    outdated: set[str], current: Mapping[str, Any], fields: Mapping[str, Any]
) -> list[FieldFinding]:
    return [
        FieldFinding(
            name,
            current[name],
            f"{name} was {render_value(current[name])} beside an earlier value and is left out",
        )
        for name in sorted(outdated - fields.keys())
    ]
