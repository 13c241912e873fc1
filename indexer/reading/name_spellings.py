"""How data sets spell the columns of our fields, in English, German and Chinese.

Spelt in small letters without spaces and marks. Of the columns of one source the first in order is
taken.
"""

import re
from collections.abc import Collection, Mapping

from indexer.normal_forms import normalize

# A catalogue and its interactions name their items alike, so that both take the first of one list:
# Amazon's reviews have an asin and a parent_asin, its products a parent_asin alone.
ITEM_IDS = (
    "itemid", "productid", "movieid", "filmid", "bookid", "parentasin", "asin", "businessid",
    "goodsid", "spuid", "skuid", "sku", "productcode", "articleid", "newsid", "postid", "videoid",
    "showid", "animeid", "gameid", "appid", "songid", "trackid", "musicid", "artistid", "albumid",
    "recipeid", "hotelid", "restaurantid", "courseid", "jobid", "placeid", "poiid", "venueid",
    "listingid", "adid", "isbn13", "isbn", "itemcode", "itemno", "stockcode", "artikelnummer",
    "artikelnr", "artikelid", "produktnummer", "produktid", "handle", "商品id", "商品编号",
    "商品編號", "物品id", "物品编号", "产品id", "产品编号", "產品編號", "电影id", "电影编号",
    "電影編號", "影片id", "图书id", "图书编号", "書籍編號", "书籍id", "视频id", "影片編號",
    "歌曲id", "音乐id", "文章id", "新闻id", "课程id", "餐厅id", "酒店id", "店铺id", "条目id",
    "项目id", "货号", "貨號", "编号", "編號", "商品", "物品",
)  # fmt: skip
CATALOGUE_SPELLINGS: Mapping[str, tuple[str, ...]] = {
    "id": (*ITEM_IDS, "indexlevel0"),  # pandas calls an index without a name so
    "title": (
        "标题", "標題", "名称", "名稱", "商品名称", "商品名稱", "商品标题", "产品名称",
        "產品名稱", "商品名", "品名", "片名", "电影名称", "电影名", "電影名稱", "影片名称",
        "书名", "書名", "歌名", "歌曲名", "游戏名称", "名字", "producttitle", "productname",
        "itemname", "itemtitle", "movietitle", "moviename", "filmname", "booktitle", "bookname",
        "prodname", "songname", "songtitle", "trackname", "tracktitle", "gamename", "gametitle",
        "animename", "artistname", "newstitle", "articletitle", "videotitle", "originaltitle",
        "titel", "bezeichnung", "produktname", "artikelname", "artikelbezeichnung", "商品", "物品",
    ),
    "description": (
        "描述", "简介", "簡介", "介绍", "介紹", "详情", "詳情", "商品描述", "产品描述",
        "產品描述", "商品详情", "内容简介", "内容", "剧情简介", "剧情", "摘要", "说明", "說明",
        "bodyhtml", "descriptionhtml", "productdescription", "itemdescription", "longdescription",
        "fulldescription", "shortdescription", "detaildesc", "synopsis", "storyline",
        "beschreibung", "produktbeschreibung",
    ),
    "tags": (
        "标签", "標籤", "producttags", "taglist",
    ),
    "genres": (
        "类型", "類型", "流派", "风格", "題材", "题材", "listedin",
    ),
    "categories": (
        "类别", "類別", "分类", "分類", "类目", "類目", "品类", "商品分类", "商品类别",
        "所属分类", "productcategory", "productcategories", "categoryname", "kategorie",
        "kategorien",
    ),
    "keywords": (
        "关键词", "關鍵詞", "关键字", "stichwörter", "schlagwörter",
    ),
    "brand": (
        "品牌", "商品品牌", "brandname", "vendor", "marke", "hersteller",
    ),
    "price": (
        "价格", "價格", "售价", "售價", "单价", "單價", "现价", "商品价格", "regularprice",
        "variantprice", "unitprice", "currentprice", "preis", "verkaufspreis",
    ),
    "rating": (
        "评分", "評分", "星级", "星級", "打分", "豆瓣评分", "豆瓣評分", "averagerating",
        "avgrating", "bewertung", "durchschnittsbewertung",
    ),
    "reviews": (
        "评论", "評論", "评价", "評價",
    ),
    "available": (
        "是否有货", "是否有貨", "是否上架", "是否可售", "有货", "instock", "isavailable",
        "availability", "verfügbar", "verfügbarkeit", "lieferbar", "auflager",
    ),
    "created_at": (
        "创建时间", "創建時間", "发布时间", "發佈時間", "发布日期", "上架时间", "上架日期",
        "上映日期", "上映时间", "出版日期", "出版时间", "日期", "时间", "時間", "createdate",
        "creationdate", "createtime", "datecreated", "dateadded", "publishdate",
        "publicationdate", "erstelltam", "eingestelltam", "erscheinungsdatum",
    ),
    "year": (
        "年份", "年代",
    ),
    "location": (
        "位置", "坐标", "經緯度", "经纬度",
    ),
    "lat": (
        "纬度", "緯度",
    ),
    "lon": (
        "经度", "經度",
    ),
}  # fmt: skip
INTERACTION_SPELLINGS: Mapping[str, tuple[str, ...]] = {
    "user_id": (
        "userid", "uid", "reviewerid", "visitorid", "customerid", "memberid", "accountid",
        "buyerid", "usermd5", "profileid", "kundennummer", "kundennr", "kundenid", "benutzerid",
        "nutzerid", "customer", "reviewer", "visitor", "username",
        "用户id", "用戶id", "使用者id", "用户编号", "用戶編號", "会员id", "会员编号", "會員編號",
        "买家id", "客户id", "客户编号", "用户", "用戶", "使用者", "会员", "會員", "用户名",
        "kunde", "benutzer", "nutzer", "user",
    ),
    "item_id": (
        *ITEM_IDS,
        "movie", "film", "book", "product", "电影", "電影", "图书", "影片", "产品", "artikel",
        "produkt",
        "item",
    ),
    "event": (
        "event", "eventtype", "eventname", "behavior", "behaviour", "behaviortype",
        "behaviourtype", "action", "actiontype", "interaction", "interactiontype", "activity",
        "行为", "行為", "行为类型", "行為類型", "事件", "事件类型", "操作", "操作类型", "动作",
        "動作", "ereignis", "aktion",
    ),
    "value": (
        "ratings", "overall", "userrating", "bookrating", "ratingscore", "评分值", "用户评分",
        "評分", "分数", "分數", "星级", "星級", "weight",
    ),
    "timestamp": (
        "timestamp", "unixreviewtime", "unixtime", "timestampms", "timems", "eventtime",
        "ratingtime", "time", "datetime", "ts", "createdat", "createtime", "reviewtime",
        "reviewdate", "orderdate", "invoicedate", "tdat", "date", "时间", "時間", "时间戳",
        "時間戳", "评分时间", "評分時間", "评论时间", "行为时间", "事件时间", "下单时间",
        "購買時間", "购买时间", "点击时间", "创建时间", "日期", "datum", "zeit", "zeitpunkt",
        "zeitstempel", "bestelldatum", "at", "dateadded", "addedat", "datecreated", "createdon",
        "ratedat", "ratingdate", "viewedat", "watchedat", "clickedat", "playedat",
        "listenedat", "likedat", "visitedat", "visitdate", "purchasedat",
        "purchasedate", "orderedat", "paidat", "occurredat",
        "dateread", "readat", "dateupdated", "支付时间", "支付時間",
    ),
    "liked": (
        "liked", "isliked", "islike", "like", "favorite", "favourite", "isfavorite",
        "isfavourite", "favorited", "favourited", "recommended", "isrecommended", "recommend",
        "votedup", "thumbsup", "是否喜欢", "是否喜歡", "喜欢", "喜歡", "是否推荐", "是否推薦",
        "推荐", "推薦", "是否点赞", "点赞", "是否收藏", "收藏",
    ),
    "text": (
        "reviewtext", "reviewbody", "评论", "評論", "评论内容", "评价内容",
    ),
}  # fmt: skip

_ID_ENDS = ("id", "编号", "編號")
_TITLE_ENDS = ("title", "name", "标题", "標題", "名称", "名稱", "名")


def list_kindred_titles(columns: Collection[str]) -> tuple[str, ...]:
    """Return how titles may be called beside the id of the same things: `adtitle` beside `adid`.

    Args:
        columns: Normal spellings of the columns of a catalogue.
    """
    stems = [
        word.removesuffix(end)
        for word in ITEM_IDS
        if word in columns
        for end in _ID_ENDS
        if word.endswith(end) and word != end
    ]
    return tuple(stem + end for stem in stems for end in _TITLE_ENDS)


# What the items are of which a column holds the ids; other names say nothing of it.
_KINDS = (
    "movieid filmid movie film 电影id 电影编号 電影編號 影片id 电影 電影 影片",
    "bookid isbn isbn13 book 图书id 图书编号 書籍編號 书籍id 图书",
    "articleid newsid postid 文章id 新闻id", "animeid", "gameid appid",
    "songid trackid musicid albumid artistid 歌曲id 音乐id", "recipeid", "hotelid 酒店id",
    "restaurantid 餐厅id", "courseid 课程id", "jobid",
)  # fmt: skip
_KIND_BY_NAME = {name: names for names in _KINDS for name in names.split()}


def are_of_other_kinds(one: str, other: str) -> bool:
    """Whether two columns of ids are, by their names, of different things: films and books."""
    kinds = {_KIND_BY_NAME.get(normalise_name(name)) for name in (one, other)}
    return len(kinds) == 2 and None not in kinds


def normalise_name(name: str) -> str:
    """Return a name in small half-width letters, without spaces and marks."""
    plain = normalize("NFKC", name).casefold()
    return re.sub(r"[\W_]+", "", plain)
