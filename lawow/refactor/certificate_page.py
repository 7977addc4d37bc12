"""The certificate of a split as one page that needs nothing else: no script, font, picture or network."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape

__all__ = ["certificate_page"]

_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem;color:#222}
h1{font-size:1.5rem}h2{font-size:1.1rem;margin-top:2rem}
table{border-collapse:collapse;width:100%}
th,td{text-align:left;padding:.25rem .75rem .25rem 0;border-bottom:1px solid #ddd;vertical-align:top}
code,td.d{font-family:ui-monospace,monospace;font-size:13px;overflow-wrap:anywhere}
pre{background:#f4f4f4;padding:.75rem;overflow-x:auto}
@media(prefers-color-scheme:dark){body{background:#181818;color:#ddd}pre{background:#222}th,td{border-color:#444}}
"""

Record = Mapping[str, object]


def certificate_page(record: Record) -> bytes:
    """Return the page for a certificate's record. The same record gives the same bytes."""
    title = f"Split of {_text(_sub(record, 'input')['name'])}"
    body = "\n".join(_sections(record, title))
    head = f'<meta charset="utf-8"><title>{title}</title><style>{_STYLE}</style>'
    viewport = '<meta name="viewport" content="width=device-width">'
    page = f'<!doctype html>\n<html lang="en"><head>{head}{viewport}</head><body>\n{body}\n</body></html>\n'
    return page.encode("utf-8", "backslashreplace")


def _sections(record: Record, title: str) -> Iterator[str]:
    entries = _sub(record, "entries")
    identical = _sub(entries, "identical")
    yield f"<h1>{title}</h1><p>Package <code>{_text(record['package'])}</code>, {_text(record['tool'])}.</p>"
    yield f"<pre>{_text(record['command'])}</pre>"
    yield "<p>" + (
        "Running this again on the same input with the same key gives the same bytes."
        if record["reproducible"]
        else "Not reproducible byte for byte: signatures with random numbers, or a key made for this run."
    )
    yield _table("Input", ("file", "bytes", "SHA-256"), _file_rows(_sub(record, "input")))
    yield _table("Output", ("file", "bytes", "SHA-256"), _file_rows(_sub(record, "output")))
    yield f"<p>Signed by the certificate <code>{_text(record['certificate_sha256'])}</code>.</p>"
    yield _table(
        "Moved classes",
        ("class", "method", "module: export", "SHA-256 of its code"),
        (row for move in _rows(record, "moved") for row in _move_rows(move)),
    )
    yield _table(
        "Changed entries",
        ("entry", "action", "before", "after"),
        (
            (item["path"], item["action"], _content(item["before"]), _content(item["after"]))
            for item in _rows(entries, "changed")
        ),
    )
    count, digest = _text(identical["count"]), _text(identical["sha256"])
    yield f"<p>{count} further entries are identical, byte for byte (all: <code>{digest}</code>).</p>"
    yield _table(
        "Kept all the same", ("entry", "why"), ((i["path"], i["reason"]) for i in _rows(entries, "kept"))
    )
    yield _table(
        "Proven before the file got its name", ("check",), ((text,) for text in _list(record, "proven"))
    )
    yield _table(
        "Judged by other tools",
        ("tool", "version", "accepted", "words"),
        (
            (item["name"], item["version"], "yes" if item["accepted"] else "no", item["words"])
            for item in _rows(record, "judges")
        ),
    )
    yield _table("What to know", ("note",), ((text,) for text in _list(record, "warnings")))


def _table(heading: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a heading and a table, or nothing where there are no rows."""
    lines = ["".join(f"<td class=d>{_text(cell)}</td>" for cell in row) for row in rows]
    if not lines:
        return ""
    head = "".join(f"<th>{_text(column)}</th>" for column in columns)
    body = "\n".join(f"<tr>{line}</tr>" for line in lines)
    return f"<h2>{_text(heading)}</h2>\n<table><tr>{head}</tr>\n{body}</table>"


def _file_rows(part: Record) -> Iterator[tuple[object, ...]]:
    return ((item["name"], item["bytes"], item["sha256"]) for item in _rows(part, "files"))


def _move_rows(move: Record) -> Iterator[tuple[object, ...]]:
    yield move["class"], move["reason"], "", move["code_sha256"]
    for item in _rows(move, "methods"):
        target = f"{item['module']}: {item['export']}" if item["export"] else "stays as it is"
        yield "", f"{item['name']}{item['descriptor']}", target, item["code_sha256"] or "no code: native"


def _content(part: object) -> str:
    return f"{part['bytes']} bytes, {part['sha256']}" if isinstance(part, Mapping) else "none"


def _sub(record: Record, key: str) -> Record:
    value = record[key]
    assert isinstance(value, Mapping)
    return value


def _list(record: Record, key: str) -> list[object]:
    value = record[key]
    assert isinstance(value, list)
    return value


def _rows(record: Record, key: str) -> Iterator[Record]:
    for item in _list(record, key):
        assert isinstance(item, Mapping)
        yield item


def _text(value: object) -> str:
    return escape(str(value))
