"""A report as one HTML page: no script, nothing from elsewhere, all text escaped."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

__all__ = ["paragraph", "picture", "render_page", "table"]

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
body { color: #222; background: #fff }
h1 { font-size: 1.4rem }
h2 { font-size: 1.1rem; margin-top: 2rem }
table { border-collapse: collapse }
th, td { border-bottom: 1px solid #ddd; padding: .3rem .8rem; text-align: right }
th:first-child, td:first-child { text-align: left }
figure { margin: 1rem 0 }
svg { max-width: 100%; height: auto }
figcaption { color: #555 }
"""


def paragraph(text: str) -> str:
    """Return a paragraph."""
    return f"<p>{escape(text)}</p>"


def picture(svg: str, caption: str) -> str:
    """Return a drawing, which is trusted, with its caption. Nothing for an empty drawing."""
    return f"<figure>{svg}<figcaption>{escape(caption)}</figcaption></figure>" if svg else ""


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table."""
    head = "".join(f"<th>{escape(item)}</th>" for item in columns)
    body = "".join("<tr>" + "".join(f"<td>{escape(item)}</td>" for item in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def render_page(title: str, sections: Sequence[tuple[str, Sequence[str]]]) -> str:
    """Return the page; a section is its heading and its parts, made by the functions above."""
    body = "".join(f"<h2>{escape(heading)}</h2>{''.join(parts)}" for heading, parts in sections)
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        f"<style>{STYLE}</style></head><body><h1>{escape(title)}</h1>{body}</body></html>\n"
    )
