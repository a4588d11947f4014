"""Blocks of a page as Markdown and as HTML."""

from resparse.page import Grid, Heading, Picture, Text, as_html, as_markdown

BLOCKS = [
    Heading("A <method>", 1),
    Text("Smoke.", loud=True),
    Text("Costs **0.1** of `dense`, a | b & c."),
    Grid(("name", "top-1"), [["a|b", "90.1"], ["**c**", "<b>"]]),
    Picture("a.svg", '<?xml version="1.0"?>\n<svg><text>x</text></svg>', "Accuracy."),
]


def test_markdown_is_githubs():
    assert as_markdown(BLOCKS) == (
        "# A <method>\n\n> **Smoke.**\n\nCosts **0.1** of `dense`, a | b & c.\n\n"
        "| name | top-1 |\n| :-- | --: |\n| a\\|b | 90.1 |\n| **c** | <b> |\n\n"
        "![Accuracy.](a.svg)\n"
    )


def test_html_escapes_what_is_shown_and_needs_nothing_else():
    page = as_html("A & b", BLOCKS)
    assert "<title>A &amp; b</title>" in page
    assert "<h1>A &lt;method&gt;</h1>" in page
    assert '<p class="loud">Smoke.</p>' in page
    assert "Costs <strong>0.1</strong> of <code>dense</code>, a | b &amp; c." in page
    assert '<td class="word">a|b</td><td>90.1</td>' in page
    assert "<td>&lt;b&gt;</td>" in page
    assert "<figure>\n<svg><text>x</text></svg>" in page
    assert "<?xml" not in page
    assert "src=" not in page
    assert "http" not in page


def test_a_sentence_in_a_table_breaks_into_lines_and_a_number_does_not():
    number, sentence = "+18.93 [+16.44, +21.42]", "its longest training costs 0.86 of it"
    text = as_html("t", [Grid(["a", "b", "c"], [["RigL", number, sentence]])])
    assert f'<td class="word">RigL</td><td>{number}</td><td class="long">{sentence}</td>' in text
    assert "td.long { white-space: normal" in text
