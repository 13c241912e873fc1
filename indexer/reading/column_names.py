"""Column names as data sets spell them to our field names, for catalogues and interactions. Pure.

A name is recognised whatever its case, spaces, underscores and width (`Movie ID`, `movieId`,
`ＭＯＶＩＥ＿ＩＤ`), in English and Chinese. A column that has our own name, or that `--fields` names,
is never renamed. Of several columns for one field the one is taken that comes first in the tables.
"""

import re
import unicodedata
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from indexer.errors import CatalogError
from indexer.field_names import (
    DATE_FIELDS,
    PROSE_FIELDS,
    REVIEW_FIELDS,
    TAG_FIELDS,
    TITLE_FIELDS,
)
from indexer.reading.notes import ReadingNotes
from indexer.reading.rows import INTERACTION_FIELDS, find_nearest_name


class Role(StrEnum):
    """What the rows of a source are."""

    CATALOGUE = "catalogue"
    INTERACTIONS = "interactions"


@dataclass(frozen=True, slots=True)
class SourceNames:
    """What decides the names of a source's columns.

    Attributes:
        role: What its rows are.
        mapping: Our names to the source's, as `--fields` gives them.
        context: Names of circumstances that are asked for.
        notes: Where guesses are told.
    """

    role: Role
    mapping: Mapping[str, str]
    context: Sequence[str] = ()
    notes: ReadingNotes = field(default_factory=ReadingNotes)


# As pandas names an index without a name. It is the id if nothing else is, else left out.
INDEX_COLUMN = "__index_level_0__"

# Spelt as `_normalise` returns them. A catalogue and its interactions name their items alike, so
# that both take the first of the same list: Amazon's reviews have an asin and a parent_asin.
_ITEM_IDS = (
    "itemid", "productid", "movieid", "filmid", "bookid", "parentasin", "asin", "businessid",
    "goodsid", "spuid", "skuid", "sku", "productcode", "articleid", "newsid", "postid", "videoid",
    "showid", "animeid", "gameid", "appid", "songid", "trackid", "musicid", "artistid", "albumid",
    "recipeid", "hotelid", "restaurantid", "courseid", "jobid", "eventid", "placeid", "poiid",
    "venueid", "listingid", "isbn13", "isbn", "itemcode", "itemno", "handle",
    "商品id", "商品编号", "商品編號", "物品id", "物品编号", "产品id", "产品编号", "產品編號", "电影id", "电影编号",
    "電影編號", "影片id", "图书id", "图书编号", "書籍編號", "书籍id", "视频id", "影片編號", "歌曲id", "音乐id", "文章id",
    "新闻id", "课程id", "餐厅id", "酒店id", "店铺id", "条目id", "项目id", "货号", "貨號", "编号", "編號", "商品",
    "物品",
)  # fmt: skip
_CATALOGUE_SYNONYMS: Mapping[str, tuple[str, ...]] = {
    "id": (*_ITEM_IDS, "indexlevel0"),
    "title": (
        "标题", "標題", "名称", "名稱", "商品名称", "商品名稱", "商品标题", "产品名称", "產品名稱", "商品名", "品名",
        "片名", "电影名称", "电影名", "電影名稱", "影片名称", "书名", "書名", "歌名", "歌曲名", "游戏名称", "名字",
        "producttitle", "productname", "itemname", "itemtitle", "movietitle", "moviename", "filmname",
        "booktitle", "bookname", "songname", "songtitle", "trackname", "tracktitle", "gamename",
        "gametitle", "animename", "artistname", "newstitle", "articletitle", "videotitle",
        "originaltitle", "商品", "物品",
    ),
    "description": (
        "描述", "简介", "簡介", "介绍", "介紹", "详情", "詳情", "商品描述", "产品描述", "產品描述", "商品详情",
        "内容简介", "内容", "剧情简介", "剧情", "摘要", "说明", "說明", "bodyhtml", "productdescription",
        "itemdescription", "longdescription", "fulldescription", "shortdescription", "synopsis",
        "storyline",
    ),
    "tags": ("标签", "標籤", "producttags", "taglist"),
    "genres": ("类型", "類型", "流派", "风格", "題材", "题材", "listedin"),
    "categories": (
        "类别", "類別", "分类", "分類", "类目", "類目", "品类", "商品分类", "商品类别", "所属分类",
        "productcategory", "productcategories", "categoryname",
    ),
    "keywords": ("关键词", "關鍵詞", "关键字"),
    "brand": ("品牌", "商品品牌", "brandname", "vendor"),
    "price": (
        "价格", "價格", "售价", "售價", "单价", "單價", "现价", "商品价格", "regularprice", "variantprice",
        "unitprice", "currentprice",
    ),
    "rating": ("评分", "評分", "星级", "星級", "打分"),
    "reviews": ("评论", "評論", "评价", "評價"),
    "available": (
        "是否有货", "是否有貨", "是否上架", "是否可售", "有货", "instock", "isavailable", "availability",
    ),
    "created_at": (
        "创建时间", "創建時間", "发布时间", "發佈時間", "发布日期", "上架时间", "上架日期", "上映日期", "上映时间",
        "出版日期", "出版时间", "日期", "时间", "時間", "createdate", "creationdate", "createtime",
        "datecreated", "dateadded", "publishdate", "publicationdate",
    ),
    "year": ("年份", "年代"),
    "location": ("位置", "坐标", "經緯度", "经纬度"),
    "lat": ("纬度", "緯度"),
    "lon": ("经度", "經度"),
}  # fmt: skip
_OWN_CATALOGUE_NAMES = (
    "id", *TITLE_FIELDS, *PROSE_FIELDS, *REVIEW_FIELDS, *TAG_FIELDS, *DATE_FIELDS, "brand", "price",
    "rating", "available", "location", "lat", "lon", "latitude", "longitude", "lng", "vector",
)  # fmt: skip
# Shop systems write whether a product is published under this name, and no date.
_NEVER_RENAMED = frozenset(("published",))
_INTERACTION_SYNONYMS: Mapping[str, tuple[str, ...]] = {
    "user_id": (
        "userid", "uid", "reviewerid", "visitorid", "customerid", "memberid", "accountid", "buyerid",
        "usermd5", "profileid", "customer", "reviewer", "visitor", "username",
        "用户id", "用戶id", "使用者id", "用户编号", "用戶編號", "会员id", "会员编号", "會員編號", "买家id", "客户id",
        "客户编号", "用户", "用戶", "使用者", "会员", "會員", "用户名", "user",
    ),
    "item_id": (*_ITEM_IDS, "movie", "film", "book", "product", "电影", "電影", "图书", "影片", "产品", "item"),
    "event": (
        "event", "eventtype", "eventname", "behavior", "behaviour", "behaviortype", "behaviourtype",
        "action", "actiontype", "interaction", "interactiontype", "activity",
        "行为", "行為", "行为类型", "行為類型", "事件", "事件类型", "操作", "操作类型", "动作", "動作",
    ),
    "value": (
        "rating", "ratings", "stars", "overall", "userrating", "bookrating", "score", "ratingscore",
        "评分", "評分", "打分", "星级", "星級", "用户评分", "分数", "分數", "评分值",
        "playcount", "plays", "listens", "listencount", "quantity", "qty", "weight",
        "播放次数", "播放量", "数量", "數量", "次数", "次數", "购买数量",
    ),
    "timestamp": (
        "timestamp", "unixreviewtime", "unixtime", "timestampms", "eventtime", "ratingtime", "time",
        "datetime", "ts", "createdat", "createtime", "reviewtime", "reviewdate", "orderdate",
        "invoicedate", "date",
        "时间", "時間", "时间戳", "時間戳", "评分时间", "評分時間", "评论时间", "行为时间", "事件时间", "下单时间",
        "購買時間", "购买时间", "点击时间", "创建时间", "日期", "at",
    ),
    "text": ("reviewtext", "reviewbody", "评论", "評論", "评论内容", "评价内容"),
}  # fmt: skip
_OWN_INTERACTION_NAMES = ("user_id", "item_id", "event", "value", "timestamp", "text", "context")
# Names that mean one field of an interaction; a source with one of them needs no other.
_SAME_FIELD = (
    {"user_id", "user"}, {"item_id", "item"}, {"value", "rating"}, {"timestamp", "time", "at"},
)  # fmt: skip
_INTERACTION_NAMES = frozenset((*_OWN_INTERACTION_NAMES, *frozenset().union(*_SAME_FIELD)))
_KNOWN_LEFT_SIDES = _INTERACTION_NAMES | {*_OWN_CATALOGUE_NAMES, *INTERACTION_FIELDS}


def recognise_names(
    columns: Iterable[str], role: Role, *, mapping: Mapping[str, str], context: Collection[str] = ()
) -> dict[str, str]:
    """Return which columns of a source are renamed: its name to ours.

    Args:
        columns: The source's column names.
        role: What its rows are.
        mapping: Our names to the source's, as `--fields` gives them; such columns stay.
        context: Names of circumstances that are asked for, which are ours too.
    """
    given = list(columns)
    mapped = {ours: theirs for ours, theirs in mapping.items() if theirs in given}
    free = {name: _normalise(name) for name in given if name not in mapped.values()}
    present = {*free, *mapped}
    renamed: dict[str, str] = {}
    for ours, spellings in _list_spellings(role, context):
        if _is_covered(ours, present, mapped):
            continue
        theirs = _find_column(spellings, free, {*renamed, *_list_own_names(role)})
        if theirs is not None:
            renamed[theirs] = ours
            present.add(ours)
    return renamed


def _list_own_names(role: Role) -> frozenset[str]:
    """Names that a column keeps, since the rows of this role have them as ours."""
    return _INTERACTION_NAMES if role is Role.INTERACTIONS else frozenset(_OWN_CATALOGUE_NAMES)


def _list_spellings(role: Role, context: Collection[str]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield each of our fields with the normal spellings of its columns, the most certain first."""
    is_catalogue = role is Role.CATALOGUE
    own = _OWN_CATALOGUE_NAMES if is_catalogue else (*_OWN_INTERACTION_NAMES, *context)
    for ours in own:
        if ours not in _NEVER_RENAMED:
            yield ours, (_normalise(ours),)
    yield from (_CATALOGUE_SYNONYMS if is_catalogue else _INTERACTION_SYNONYMS).items()


def _find_column(
    spellings: Iterable[str], free: Mapping[str, str], kept: Collection[str]
) -> str | None:
    """The first column, in the order of the spellings, that is not to be kept."""
    for spelling in spellings:
        for column, normal in free.items():
            if normal == spelling and column not in kept:
                return column
    return None


def _is_covered(ours: str, present: Collection[str], mapped: Collection[str]) -> bool:
    """Whether the source has a field already, under one of its names."""
    if ours in present:
        return True
    if ours in ("title", "name"):
        return "title" in present or "name" in present
    if ours == "item_id" and "id" in mapped:  # it names the item of interactions too
        return True
    return any(ours in names and not names.isdisjoint(present) for names in _SAME_FIELD)


def check_field_names(mapping: Mapping[str, str]) -> None:
    """Refuse a misspelt field name on the left of `--fields`, such as `titel=name`.

    Names that are far from every known one are the user's own, and stay.

    Raises:
        CatalogError: Naming the nearest known name.
    """
    for ours, theirs in mapping.items():
        nearest = None if ours in _KNOWN_LEFT_SIDES else find_nearest_name(ours, _KNOWN_LEFT_SIDES)
        if nearest is not None and ours != theirs:
            raise CatalogError(
                f"--fields names the field {ours!r}, which is not known; did you mean {nearest!r}? "
                f"A field of your own needs a name that is less like it"
            )


def has_known_name(columns: Iterable[str], role: Role) -> bool:
    """Whether any of the names is one of ours or one that is recognised."""
    normal = {_normalise(name) for name in columns}
    known = {_normalise(name) for name in _list_own_names(role)}
    return not normal.isdisjoint(known.union(*(words for _, words in _list_spellings(role, ()))))


def describe_names(source: str, renamed: Mapping[str, str]) -> str:
    """Return the sentence that tells which columns were renamed."""
    pairs = ", ".join(f"{theirs} as {ours}" for theirs, ours in renamed.items())
    return f"{source}: reads {pairs} (--fields ours=theirs decides otherwise)"


def _normalise(name: str) -> str:
    """A name in small half-width letters, without spaces and marks."""
    plain = unicodedata.normalize("NFKC", name).casefold()
    return re.sub(r"[\W_]+", "", plain)
