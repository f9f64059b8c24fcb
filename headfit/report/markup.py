"""The pieces of the page: sections, tables, pictures. Everything that is text is escaped here."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

import cv2
import numpy as np
from numpy.typing import NDArray

#: JPEG quality of pictures.
QUALITY = 85


@dataclass(frozen=True)
class Section:
    """A part of the page: its heading, and HTML below it. Without any HTML it is left out."""

    title: str
    blocks: Sequence[str]

    @property
    def anchor(self) -> str:
        """The name that links to it."""
        return self.title.lower().replace(" ", "-")

    def html(self) -> str:
        """The section as HTML."""
        return f'<section id="{escape(self.anchor)}"><h2>{escape(self.title)}</h2>{"".join(self.blocks)}</section>'


def paragraph(text: str) -> str:
    """A paragraph of plain text."""
    return f"<p>{escape(text)}</p>"


def warning(text: str) -> str:
    """A paragraph of plain text that stands out."""
    return f'<div class="verdict">{paragraph(text)}</div>'


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of plain text; the first column names the rows. "" when there are no rows."""
    body = [
        f"<tr><th>{escape(first)}</th>{''.join(f'<td>{escape(cell)}</td>' for cell in rest)}</tr>"
        for first, *rest in rows
    ]
    titles = "".join(f"<th>{escape(title)}</th>" for title in head)
    return f'<div class="wide"><table><tr>{titles}</tr>{"".join(body)}</table></div>' if body else ""


def folded(summary: str, content: str) -> str:
    """`content` (HTML) behind a line that opens it."""
    return f"<details><summary>{escape(summary)}</summary>{content}</details>"


def listing(title: str, items: Sequence[str], most: int) -> str:
    """The first `most` of some lines of text below a title, and how many more there are."""
    rows = "".join(f"<li>{escape(item)}</li>" for item in items[:most])
    more = f"<li>and {len(items) - most} more</li>" if len(items) > most else ""
    return f"<p>{escape(title)}</p><ul>{rows}{more}</ul>" if items else ""


def text_block(text: str) -> str:
    """Text with its line ends."""
    return f"<pre>{escape(text)}</pre>"


def picture(image: NDArray[np.uint8], caption: str) -> str:
    """An RGB picture `[H,W,3]` as JPEG within the page."""
    ok, data = cv2.imencode(".jpg", np.ascontiguousarray(image[..., ::-1]), [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    assert ok, "OpenCV encodes every uint8 picture"
    address = f"data:image/jpeg;base64,{base64.b64encode(data.tobytes()).decode()}"
    height, width = image.shape[:2]
    text = escape(caption)
    return (
        f'<figure class="picture" style="width: {width}px">'
        f'<img src="{address}" width="{width}" height="{height}" alt="{text}"><figcaption>{text}</figcaption></figure>'
    )


def row(blocks: Iterable[str]) -> str:
    """Blocks side by side, wrapped where the page is narrow."""
    return f'<div class="row">{"".join(blocks)}</div>'
