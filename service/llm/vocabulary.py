"""Words that join facts and claim nothing: all that a sentence may add to what it was told.

What kind of thing an item is (a film, a book) and when something was (today, recently) are claims.
"""

_CONNECTIVES_TEXT = """
a an the this that these those it its is are was were be been has have had of in on at to for from
by with and or as also too so because since about into like likes liked similar close near same both
more which who whose where when while your you you've you're yours i we recommend recommended
recommendation recommends suggestion suggested suggest suggests here matches match matching matched
fits fit fitting suits suit goes go shares share sharing shared reflects reflect connects relates
related relating interest interests interested taste preference preferences history past earlier now
moment asked ask said say mentioned enjoy enjoyed watched read bought viewed clicked rated played
finished tag tags tagged title titled item genre genres category categories topic topics theme
themes kind kinds style one another other product products story stories made based given
considering their there they them within between around over under how what
"""
_CONNECTIVES_ZH_TEXT = """
推荐 因为 所以 由于 因此 而且 并且 同时 以及 或者 这个 这部 这本 这款 这首 这张 这件 它的
它是 你的 您的 你 您 我们 喜欢 喜欢过 看过 看完 买过 读过 听过 点击过 评分过 播放过 分享过
评论过 提到 提到过 说过 想要 想看 想找 感兴趣 兴趣 偏好 口味 历史 记录 现在 此刻 时间 当前 符合
适合 匹配 接近 类似 相似 相关 属于 包含 具有 有 是 与 和 跟 同 的 了 过 在 对 为 也 都 又 很 而
及 之 其 以 于 中 里 上 下 个 部 本 款 首 张 件 种 类 商品 产品 作品 内容 标签 类型 题材 主题
风格 故事 一部 一本 一款 一首 一个 向 给 将 把 被 让 从 到 来自 根据 基于 考虑到 结合 或 这 那
它 此
"""
CONNECTIVES = frozenset(_CONNECTIVES_TEXT.split())
CONNECTIVES_ZH = frozenset(_CONNECTIVES_ZH_TEXT.split())
