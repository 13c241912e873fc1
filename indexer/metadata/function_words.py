"""The words of a sentence that say nothing about what is looked for, in English and Chinese.

They are written as `fold_for_search` folds them. A wish of nothing else keeps them: "The Who".
"""

import re

# Grammar, and how wishes begin: "I would like to see something with …", "recommend me …".
_FUNCTION_WORDS = """
    a an the this that these those some any something anything someone anyone one ones thing things
    i me my mine we us our you your he him his she her it its they them their who whom whose which
    what where when why how there here
    am is are was were be been being do does did done has have had having can could may might must
    shall should will would let lets
    and or but nor not no if then than so as at by for from in into of off on onto out over per to
    up upon with without within about across after against along among around before behind below
    beneath beside between beyond during except inside like near since through throughout toward
    towards under until via vs
    also just only really very too more most much many few lot lots bit quite rather kind sort type
    want wants wanted need needs looking look find show give recommend suggest please wish watch see
    read listen hear play buy get similar maybe s t d m ll re ve don didn doesn isn im id
"""
FUNCTION_WORDS = frozenset(_FUNCTION_WORDS.split())

# Names of a kind of item: they tell kinds apart where they are categories of the catalogue. Where
# only a few items mention them they say nothing about these.
_KIND_WORDS = """
    movie movies film films book books novel novels song songs music album albums video videos game
    games show shows series story stories article articles product products item items
"""
KIND_WORDS = frozenset(_KIND_WORDS.split())
_CJK_KIND_WORDS = "电影 影片 片子 小说 书籍 歌曲 音乐 游戏 视频 文章 商品"
CJK_KIND_WORDS = tuple(_CJK_KIND_WORDS.split())

# Single characters that are parts of other words are not among them, except particles.
_CJK_FUNCTION_WORDS = """
    我想看 我想听 我想读 我想要 我想买 我想找 我要看 我要听 我要买 我要找 我想 我要
    想看 想听 想读 想要 想买 想找 想玩 要看 要听 给我 帮我 请问 请给 推荐
    一些 一点 一部 一本 一首 一个 一款 一种 几部 几本 有没有 有什么 什么 哪些 哪个 怎么
    关于 有关 类似 像是 适合 可以 能够 比较 非常 特别 最好 或者 以及
    那种 这种 那些 这些 那个 这个 的 了 吗 呢 吧 啊 呀 和 与 或
"""
# The first that fits is taken, so the longest come first.
_CJK_LONGEST_FIRST = sorted(_CJK_FUNCTION_WORDS.split(), key=len, reverse=True)
CJK_FUNCTION_PATTERN = re.compile("|".join(_CJK_LONGEST_FIRST))
