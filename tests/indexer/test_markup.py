"""HTML and Markdown leave their words, plain text keeps all of its own."""

import string
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.language import describe_item
from indexer.markup import strip_html, strip_markup
from indexer.metadata import build_indexed_text, compute_title_key


@pytest.mark.parametrize(
    ("html", "words"),
    [
        ("<p>A lamp&nbsp;for a <b>kid</b>'s room</p>", "A lamp for a kid's room"),
        ("dino<em>saur</em>s<br/>and<li>owls<li>bats", "dinosaurs and owls bats"),
        ("x<script>track('a')</script><style>p{}</style>y", "xy"),
        ("a <!-- hidden --> b", "a b"),
        ('<a href="http://x.y/a>b" class=c>link</a>', "link"),
        ("caf&eacute; &#39;x&#39; &amp; 茶", "café 'x' & 茶"),
        ("&lt;p&gt;Escaped &lt;b&gt;twice&lt;/b&gt;&lt;/p&gt;", "Escaped twice"),
        ("<p>C++ <vector> and a &lt;map&gt;</p>", "C++ <vector> and a <map>"),
        ("<div class='a'>厨房<span>用</span>品</div><p>结实", "厨房用品 结实"),
        ("<td>a</td><td>b</td>", "a b"),
        ("a<script>if (a<b) '<svg>'</script>b <svg><title>t</title></svg>c", "ab c"),
        ("<svg class=a /> x <svg><svg></svg></svg>y<!-->z", "x yz"),
        ("a <b title='1>2'>bold</b> <q>c</q><del>d</del>", "a bold cd"),
        ("<p>a lone \ud800 half</p>", "a lone ? half"),
    ],
)
def test_of_html_the_words_remain(html: str, words: str) -> None:
    assert " ".join(strip_html(html).split()) == words


@pytest.mark.parametrize(
    "text",
    ["a < b and b > c", "I <3 this", "C++ <vector>, List<String> and <map>", "if a <b then c",
     "AT&T, R&D & more", "&nbsp without its end", "learn the <script> tag", "open <!-- comment",
     "<>", "<", "&", "1 <2> 3", "the <title>", "&unknown;"],
)  # fmt: skip
def test_a_bracket_or_an_ampersand_of_plain_text_stays(text: str) -> None:
    assert strip_html(text) == text


@pytest.mark.parametrize(
    ("markdown", "words"),
    [
        ("# Kettle\nIt is **very** *fast*.", "Kettle It is very fast."),
        ("这是**重点**内容，见[说明](https://x.y/z)", "这是重点内容，见说明"),
        ("![front](a/b.png) ~~old~~ `code` __x__ _y_", "front old code x y"),
        ("[![alt](i.png)](http://u.v)", "alt"),
        ("```py\nrun()\n```", "run()"),
        ("<p>**both**</p>", "both"),
    ],
)
def test_of_markdown_the_words_remain(markdown: str, words: str) -> None:
    assert " ".join(strip_markup(markdown).split()) == words


@pytest.mark.parametrize(
    "text",
    ["2 * 3 * 4 = 24", "5*3*2", "2**3**2", "snake_case_name", "f*** and s***", "[REC](2007)",
     "#1 bestseller", "* not included", "a_b_c", "50% ~~", "~/a ~/b"],
)  # fmt: skip
def test_signs_that_are_no_markdown_stay(text: str) -> None:
    assert strip_markup(text) == text


@given(st.text(alphabet=string.ascii_letters + string.digits + " .,;:!?'\"()+=/-|\n电影"))
def test_text_without_markup_comes_back_as_it_is(text: str) -> None:
    assert strip_markup(text) == text


@given(st.text(alphabet="<>/!-&;#pbdiv scriptx=\"'*_`[]()~\n\ud800", max_size=60))
def test_no_text_makes_it_fail(text: str) -> None:
    strip_markup(text)


_MEASURE = """
import resource
from indexer.markup import strip_html
opened = "".join(f"<b id=i{i}>" for i in range(2_000))
strip_html("<b>x</b>")
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
words = strip_html("<span>" * 2_000 + opened + "</span>x" * 2_000)
assert words == "x" * 2_000
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_elements_that_are_opened_and_not_closed_cost_memory_for_their_text_alone() -> None:
    measured = subprocess.run(
        [sys.executable, "-c", _MEASURE], capture_output=True, text=True, check=True
    )
    kibibytes_per_unit = 1024 if sys.platform == "darwin" else 1
    assert int(measured.stdout) / kibibytes_per_unit < 50_000  # of 50 KB of text


def test_the_model_reads_and_is_cut_after_the_words_not_the_markup() -> None:
    sentence = "Glows like a dinosaur all night in the room of a child"
    styled = "".join(f'<p style="margin:0;padding:0;{"x" * 60}">{w}</p>' for w in sentence.split())
    plain = {"title": "Lamp &amp; shade", "description": f"{styled}<b></b>"}
    assert describe_item(plain) == f"Lamp & shade. {sentence}"
    assert describe_item({"title": "L", "reviews": ["**So** [bright](a.b/c)"]}) == "L. So bright"


def test_tags_and_entities_and_addresses_are_no_words_of_the_search() -> None:
    fields = {
        "id": "m1", "title": "Tom &amp; Jerry",
        "description": 'See <a href="https://x.y/strong">the <strong>cat</strong></a>&nbsp;run',
        "notes": "看这里https://a.b/猫 或 https://c.d/e?f=g 跑",
        "url": "https://example.org/path",
    }  # fmt: skip
    words = build_indexed_text(fields)
    assert words.title == "tom & jerry"
    assert words.rest.split() == ["see", "the", "cat", "run", "看", "这", "里", "猫", "或", "跑"]
    assert compute_title_key(fields) == "tom & jerry"
