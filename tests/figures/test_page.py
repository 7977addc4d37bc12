"""A report's text is text, whatever is in it."""

from __future__ import annotations

from lawow.figures.page import paragraph, render_page, table


def test_text_never_becomes_markup() -> None:
    hostile = "<script>alert(1)</script>"
    page = render_page(hostile, [(hostile, [paragraph(hostile), table([hostile], [[hostile]])])])
    assert "<script" not in page
    assert page.count("&lt;script&gt;") == 6
