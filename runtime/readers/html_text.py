"""HTML as plain text: what a reader of the page would see, code as it is laid out.

The few rules are our own, as a text that is part of a token store must not change with
the version of a parser. They are linear in the text, whatever it holds.
"""

from __future__ import annotations

import html
import re

# Around these, paragraphs end; in front of those, lines; all others are within a line.
PARAGRAPHS = frozenset(
    (
        *(
            "address",
            "article",
            "aside",
            "blockquote",
            "div",
            "dl",
            "fieldset",
            "figure",
        ),
        *("footer", "form", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hr", "main"),
        *("nav", "ol", "p", "pre", "section", "table", "ul"),
    )
)
LINES = frozenset({"dd", "dt", "li", "option", "tr"})
HIDDEN = frozenset({"script", "style", "template"})
# No attribute may hold < or >; where one does, the rest of the tag is text.
MARKUP = re.compile(r"<!--|<(/?)([A-Za-z][A-Za-z0-9-]*+)(?=[\s/>])[^<>]*+>")
BLANKS = re.compile(r"[ \t\r\n\f]+")
LEADING_LINE = re.compile(r"\A\r?\n")


def html_to_text(fragment: str) -> str:
    r"""Turn a fragment of HTML into text.

    Paragraphs are parted by an empty line, items of lists begin with `- `, a `pre` is
    as it was written, and everything else of a tag is left out. Unclosed and unknown
    tags do no harm.

    >>> html_to_text("<p>So  <i>a &lt; b</i>:</p><pre><code>if a:\n  b</code></pre>")
    'So a < b:\n\nif a:\n  b'
    """
    text = _Text()
    place = 0
    while found := MARKUP.search(fragment, place):
        text.add(fragment[place : found.start()])
        place = found.end()
        if found[2] is None:
            end = fragment.find("-->", place)
            # A comment without an end goes to the end, as in browsers.
            place = len(fragment) if end < 0 else end + 3
        elif found[1]:
            text.end(found[2].lower())
        else:
            text.begin(found[2].lower())
    text.add(fragment[place:])
    return text.whole()


class _Text:
    """What was found, with the breaks that are due before more of it."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._breaks = 0
        self._item = ""
        self._in_pre = self._starts_pre = False
        self._hidden: str | None = None

    def whole(self) -> str:
        """Return the text, with no blanks at its end."""
        return "".join(self._parts).rstrip()

    def begin(self, tag: str) -> None:
        """Take the start of a tag."""
        if self._hidden is not None:
            return
        if tag in HIDDEN:
            self._hidden = tag
        elif tag == "br":
            self._breaks = min(2, self._breaks + 1)
        else:
            self._part(tag)
        if tag == "pre":
            self._in_pre = self._starts_pre = True
        elif tag == "li":
            self._item = "- "

    def end(self, tag: str) -> None:
        """Take the end of a tag."""
        if self._hidden is not None:
            self._hidden = None if tag == self._hidden else self._hidden
            return
        self._part(tag)
        if tag == "pre":
            self._in_pre = False

    def add(self, raw: str) -> None:
        """Take what stands between two tags."""
        if self._hidden is not None or not raw:
            return
        text = html.unescape(raw)
        if self._in_pre:
            if self._starts_pre:
                text = LEADING_LINE.sub("", text)
            self._starts_pre = False
        else:
            text = BLANKS.sub(" ", text)
            if self._breaks or not self._parts or self._parts[-1].endswith(" "):
                text = text.lstrip(" ")
        if text:
            self._break()
            self._parts.append(text)

    def _part(self, tag: str) -> None:
        """Note that a paragraph or a line ends at a tag."""
        if self._item:
            return  # A paragraph that begins an item stands behind its mark.
        if tag in PARAGRAPHS:
            self._breaks = 2
        elif tag in LINES:
            self._breaks = max(1, self._breaks)

    def _break(self) -> None:
        """Write the breaks that are due, and the mark of an item."""
        if self._parts and self._breaks:
            # Blanks and line feeds in front of a break show nowhere.
            self._parts[-1] = self._parts[-1].rstrip()
            self._parts.append("\n" * self._breaks)
        if self._item:
            self._parts.append(self._item)
        self._breaks, self._item = 0, ""
