"""Where a generated text ends: stop texts, and the end of a block by each language's own rules.

A rule is fed the text as it grows and says, once, at which character it ends. What is generated after that point in
the same token is dropped.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Protocol

from codegeex.languages import Language

TELLING = 3
"""Letters and digits that a line has at least which is told from others of its kind."""


class StopRule(Protocol):
    """Decides where a growing text ends."""

    def feed(self, text: str) -> int | None:
        """Take the next piece of text; the index in the whole text at which it ends, once that is known."""

    def held(self) -> int:
        """Characters at the end of the text that a later piece may take back, besides white space."""
        return 0

    def finish(self) -> int | None:
        """The index at which the text ends, now that nothing more comes; None where that is its end."""
        return None


class IndentRule(StopRule):
    """Ends a block of an indented language: at the first line that stands at the margin again.

    Lines at the margin that close brackets belong to a header spread over several lines. The block itself may begin
    at the margin ("def f():"), so the margin counts only once an indented line has been seen.

    Args:
        before: the code that the text continues. Where it ends within a line, the text's first line goes on with that
            one, whose own indentation counts.
    """

    def __init__(self, before: str):
        line = before.rpartition("\n")[2]
        self._within_line = bool(line)
        self._inside = line.startswith((" ", "\t")) or line.rstrip().endswith(":")
        self._text = ""
        self._line = 0  # where the first line not yet judged begins

    def feed(self, text: str) -> int | None:
        self._text += text
        while self._line < len(self._text):
            newline = self._text.find("\n", self._line)
            first = self._text[self._line]
            if self._within_line:
                self._within_line = newline < 0
            elif first in " \t" and self._text[self._line : None if newline < 0 else newline].strip():
                self._inside = True
            elif self._inside and first not in " \t\r\n)]}":
                return self._line
            if newline < 0:
                return None
            self._line = newline + 1
        return None


class GapRule(StopRule):
    """Ends what fills a gap where it comes to the code behind the gap, which small models write once more.

    That is before two lines, empty ones aside, that are the first of that code; the first of them may be the rest of
    the line that the gap begins in. Where the code behind the gap has but one line, or the text ends after the first of
    the two, one is enough if it has something to say: a text may have many lines with a bracket.

    Args:
        before, after: the code around the gap.
    """

    def __init__(self, before: str, after: str):
        self._next = [line.rstrip() for line in after.split("\n") if line.strip()][:2]
        self._tells = bool(self._next) and len(re.findall(r"\w", self._next[0])) >= TELLING
        if len(self._next) == 1 and not self._tells:
            self._next = []
        self._breaks = after.startswith(("\n", "\r\n"))
        self._within_line = not before.endswith("\n") and bool(before)
        self._text = ""
        self._line = 0  # where the line begins that is not judged yet
        self._found: int | None = None  # where the text ends if the next line is the second, too

    def feed(self, text: str) -> int | None:
        self._text += text
        while self._next and (newline := self._text.find("\n", self._line)) >= 0:
            line = self._text[self._line : newline].rstrip()
            if line and self._found is not None and line == self._next[1]:
                return self._found
            if line:
                self._found = self._end(line)
                if self._found is not None and len(self._next) == 1:
                    return self._found
            self._within_line, self._line = False, newline + 1
        return None

    def held(self) -> int:
        if not self._next:
            return 0
        if self._found is not None:
            return len(self._text) - self._found
        line = self._text[self._line :].rstrip()
        if self._within_line:
            tails = range(min(len(line), len(self._next[0])), 0, -1) if not self._breaks else ()
            begun = next((size for size in tails if self._next[0].startswith(line[-size:])), 0)
            return len(self._text) - self._line - len(line) + begun if begun else 0
        held = len(self._text) - self._line
        return held + (self._breaks and self._line > 0) if self._next[0].startswith(line) else 0

    def finish(self) -> int | None:
        end = self.feed("\n")  # the end of the text ends its last line
        return self._found if end is None and self._tells else end

    def _end(self, line: str) -> int | None:
        """Where the text ends if what follows this line is what follows the gap."""
        if not self._within_line:
            begins = max(0, self._line - 1) if self._breaks else self._line
            return begins if line == self._next[0] else None
        ends = self._line + len(line) - len(self._next[0])
        return ends if line.endswith(self._next[0]) and not self._breaks else None


class BraceRule(StopRule):
    """Ends a block of a braces language: after the brace that closes it. Strings and comments do not count.

    Where `before` leaves braces open, that is the brace that closes the innermost of them. Otherwise it is the first
    that leaves none open and ends its line, so that neither "use a::{b, c};" nor "f({x, y}) {" nor "} else {" are taken
    for an end. The semicolon after a block of several lines ("struct A { ... };") belongs to it.

    Args:
        language: for its comments and quotes.
        before: the code that the text continues.
    """

    def __init__(self, language: Language, before: str):
        self._scanner = BraceScanner(language)
        self._depth = 0
        for _, brace in self._scanner.feed(before):
            self._depth = max(0, self._depth + (1 if brace == "{" else -1))
        self._target = self._depth - 1
        self._text = ""
        self._opened = 0
        self._closed = 0  # after a brace that may be the last, until it is clear whether its line ends there

    def feed(self, text: str) -> int | None:
        start = len(self._text)
        self._text += text
        for offset, brace in self._scanner.feed(text):
            place = start + offset
            if self._closed and (end := self._end()) is not None:
                return end
            self._closed = 0
            if brace == "{":
                self._opened = place if self._depth == 0 else self._opened
                self._depth += 1
                continue
            self._depth = max(0, self._depth - 1)
            if self._depth == self._target:
                return place + 1
            if self._target < 0 and self._depth == 0:
                self._closed = place + 1
        return self._end() if self._closed else None

    def _end(self) -> int | None:
        """Where the text ends if the brace before `_closed` is its last; None while or where that is not so."""
        rest = self._text[self._closed :].lstrip(" \t")
        if rest.startswith(("\n", "\r")):
            return self._closed
        if rest.startswith(";") and "\n" in self._text[self._opened : self._closed]:
            return self._text.index(";", self._closed) + 1
        return None


_CHARACTER = re.compile(r"'(?:\\.|[^\\])'$")
"""A character literal where an apostrophe is no quote: in Rust, where it also begins a lifetime."""


class BraceScanner:
    """Finds the braces of a growing text that stand outside strings and comments."""

    def __init__(self, language: Language):
        self._line_comment = language.line_comment
        self._block_comment = language.block_comment
        self._quotes = language.quotes
        self._until = ""  # what ends the string or comment that the text is in
        self._recent = ""  # enough of the past to see a mark that arrives in two pieces

    def feed(self, text: str) -> list[tuple[int, str]]:
        """(offset in `text`, brace) of every brace that counts."""
        found = []
        for offset, character in enumerate(text):
            self._recent = (self._recent + character)[-4:]
            if self._until:
                self._leave(character)
            elif _CHARACTER.search(self._recent):
                self._recent = ""
            elif self._recent[-2:-1] in ("'", "\\"):
                continue  # a character literal, or an escaped character
            elif self._line_comment and self._recent.endswith(self._line_comment):
                self._until = "\n"
            elif self._block_comment[0] and self._recent.endswith(self._block_comment[0]):
                self._until = self._block_comment[1]
                self._recent = ""
            elif character in self._quotes:
                self._until = character
                self._recent = ""
            elif character in "{}":
                found.append((offset, character))
        return found

    def _leave(self, character: str) -> None:
        """Leave the string or comment if it ends here."""
        quoted = self._until in self._quotes
        if quoted and self._recent.endswith("\\\\"):
            self._recent = ""  # an escaped backslash escapes nothing
        elif quoted and self._recent[-2:-1] == "\\":
            return
        elif self._recent.endswith(self._until) or (quoted and character == "\n" and self._until != "`"):
            self._until = ""
            self._recent = ""


def block_rule(language: Language, before: str) -> StopRule | None:
    """The rule that ends the block which a text after `before` is in or begins; None where the language has none.

    Args:
        language: the language of both.
        before: the code so far; it decides whether a block is open.
    """
    if language.blocks == "indent":
        return IndentRule(before)
    if language.blocks == "braces":
        return BraceRule(language, before)
    return None


class StopChecker:
    """Stop texts and a rule together, over one growing text.

    Args:
        stops: the text ends before the first of these.
        rule: a further rule, or None.
    """

    def __init__(self, stops: Sequence[str], rule: StopRule | None):
        self._stops, self._rule = stops, rule
        self._longest = max(map(len, stops), default=0)
        self.text = ""
        self.ended = False

    def feed(self, piece: str) -> bool:
        """Take the next piece; cuts `text` and returns True once it has ended."""
        # A stop text may have begun in what came before.
        search_from = max(0, len(self.text) - self._longest + 1)
        self.text += piece
        ends = [self.text.find(stop, search_from) for stop in self._stops]
        if self._rule is not None and (end := self._rule.feed(piece)) is not None:
            ends.append(end)
        ends = [end for end in ends if end >= 0]
        if ends:
            self.text = self.text[: min(ends)]
            self.ended = True
        return self.ended

    def finish(self) -> None:
        """Nothing more comes."""
        if not self.ended and self._rule is not None and (end := self._rule.finish()) is not None:
            self.text = self.text[:end]
        self.ended = True

    @property
    def settled(self) -> int:
        """Characters of `text` that no later piece can take back: what a stream may show."""
        if self.ended:
            return len(self.text)
        keep = len(self.text)
        if self._rule is not None:
            keep = min(len(self.text.rstrip()), keep - self._rule.held())
        for stop in self._stops:
            for length in range(min(len(stop) - 1, len(self.text)), 0, -1):
                if self.text.endswith(stop[:length]):
                    keep = min(keep, len(self.text) - length)
                    break
        return keep
