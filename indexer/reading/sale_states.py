"""Fields with which shops and sites say whether an item is sold to whether it is available. Pure.

`Published` 0, `Status` draft, `is_open` 0, visibility hidden, 状态 下架: whoever runs the shop has
hidden such an item, in stock or not.
"""

from functools import lru_cache
from typing import Any

from indexer.reading.name_spellings import normalise_name
from indexer.reading.plain_values import read_availability, read_boolean, to_half_width

# Names in small letters without spaces and marks. Only what nobody uses for something else.
_SWITCHES = frozenset(
    ("published", "ispublished", "isopen", "isactive", "active", "enabled", "isenabled",
     "在售", "是否在售", "是否启用", "是否发布", "启用", "是否啟用", "是否發佈")
)  # fmt: skip
_REVERSED_SWITCHES = frozenset(
    ("deleted", "isdeleted", "archived", "isarchived", "hidden", "ishidden", "isdraft",
     "discontinued", "isdiscontinued", "是否下架", "已下架", "是否删除", "是否刪除")
)  # fmt: skip
_STATES = frozenset(
    ("status", "productstatus", "itemstatus", "poststatus", "listingstatus", "publishstatus",
     "visibility", "visibilityincatalog", "catalogvisibility", "状态", "狀態", "商品状态",
     "商品狀態", "上架状态", "上架狀態", "销售状态", "銷售狀態", "上下架", "上下架状态")
)  # fmt: skip
_UNSOLD_WORDS = frozenset(
    ("draft", "archived", "unlisted", "inactive", "disabled", "deleted", "hidden", "private",
     "pending", "trash", "trashed", "unpublished", "withdrawn", "delisted", "permanentlyclosed",
     "notvisibleindividually", "草稿", "隐藏", "隱藏", "禁用", "已禁用", "停用", "已停用", "未发布",
     "未發佈", "未上架", "待上架", "仓库中", "倉庫中", "删除", "刪除", "已删除", "已刪除")
)  # fmt: skip
_SOLD_WORDS = frozenset(("active", "publish", "published", "enabled", "visible", "public"))


def read_sale_state(name: str, value: Any) -> bool | None:
    """Return whether a field says that its item is sold; None if it says nothing about that.

    Args:
        name: Of the field, in any case and with any marks.
        value: What it holds; anything that is not plain says nothing.
    """
    kind = _find_kind(name)
    if kind is None or not isinstance(value, str | int | float):
        return None
    text = str(value)
    if kind is _STATES:
        return _read_word(text) if isinstance(value, str) else None
    answer = read_boolean(text)
    if kind is _REVERSED_SWITCHES:
        return None if answer is None else not answer
    if text in ("-1", "-1.0"):  # WooCommerce's draft
        return False
    return _read_word(text) if answer is None else answer


@lru_cache(maxsize=1 << 12)
def _find_kind(name: str) -> frozenset[str] | None:
    normal = normalise_name(name)
    kinds = (_SWITCHES, _REVERSED_SWITCHES, _STATES)
    return next((kind for kind in kinds if normal in kind), None)


@lru_cache(maxsize=1 << 12)
def _read_word(text: str) -> bool | None:
    word = normalise_name(to_half_width(text))
    if word in _UNSOLD_WORDS or word in _SOLD_WORDS:
        return word in _SOLD_WORDS
    is_word = any(map(str.isalpha, word)) and read_boolean(text) is None
    return read_availability(text) if is_word else None
