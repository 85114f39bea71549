"""The languages of CodeGeeX: one table, one row per language.

Everything that depends on a language asks this table: how a corpus sample is tagged (paper section 3.1: every
sample starts with a comment naming its language), which files belong to it, how a comment is written, when a
generated block is complete. The tags reproduce the released model's exactly, oddities included ("// language: Lua",
a lower-case "swift", no space in "!language: Fortran"), since the model was trained on those strings.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from os.path import splitext
from pathlib import PurePath
from typing import Literal

from codegeex.errors import CodeGeeXError

Blocks = Literal["indent", "braces", "none"]
"""How a language delimits a function body, which decides when a generated one is complete."""


@dataclass(frozen=True, slots=True)
class Language:
    """One language.

    Attributes:
        key: stable lower-case identifier, used on the command line and in JSON.
        name: display name, as the paper's prompts write it.
        tag: first line of every training sample and prompt in this language (without the newline).
        extensions: file suffixes with the dot, the most usual first; a suffix may belong to several languages.
        line_comment: what starts a comment to the end of the line, or "" where the language has none.
        block_comment: opening and closing marks of a block comment, or two empty strings.
        quotes: characters that delimit strings.
        blocks: how bodies are delimited.
        aliases: further names people type.
        in_paper: one of the 23 languages of the paper's corpus.
        runner: the name of the HumanEval-X data for this language, or "" where there is none.
    """

    key: str
    name: str
    tag: str
    extensions: tuple[str, ...]
    line_comment: str = ""
    block_comment: tuple[str, str] = ("", "")
    quotes: str = "\"'"
    blocks: Blocks = "none"
    aliases: tuple[str, ...] = ()
    in_paper: bool = False
    runner: str = ""

    def comment(self, text: str) -> str:
        """`text` as a comment of this language, one comment line per line of text, without a final newline."""
        opening, closing = (self.line_comment, "") if self.line_comment else self.block_comment
        lines = text.splitlines() or [""]
        return "\n".join(" ".join(part for part in (opening, line.rstrip(), closing) if part) for line in lines)


# Comment families: (line comment, (block opening, block closing)).
_C = ("//", ("/*", "*/"))
_HASH = ("#", ("", ""))
_PERCENT = ("%", ("", ""))
_SEMICOLON = (";", ("", ""))
_DASHES = ("--", ("", ""))
_MARKUP = ("", ("<!--", "-->"))
_APOSTROPHE = ("'", ("", ""))


def _row(
    key: str,
    name: str,
    extensions: str,
    comments: tuple[str, tuple[str, str]],
    *,
    tag: str = "",
    blocks: Blocks = "none",
    aliases: str = "",
    quotes: str = "\"'",
    in_paper: bool = False,
    runner: str = "",
) -> Language:
    line, block = comments
    return Language(
        key=key,
        name=name,
        tag=tag or f"{line} language: {name}",
        extensions=tuple(extensions.split()),
        line_comment=line,
        block_comment=block,
        quotes=quotes,
        blocks=blocks,
        aliases=tuple(aliases.split()),
        in_paper=in_paper,
        runner=runner,
    )


LANGUAGES: tuple[Language, ...] = (
    # The 23 languages of the paper's corpus, in the order of their share of it.
    _row(
        "cpp",
        "C++",
        ".cpp .cc .cxx .hpp .hh .hxx .ipp .h .inl",
        _C,
        blocks="braces",
        aliases="c++ cplusplus",
        in_paper=True,
        runner="cpp",
    ),
    _row("python", "Python", ".py .pyi .pyw", _HASH, blocks="indent", aliases="py", in_paper=True, runner="python"),
    _row("java", "Java", ".java", _C, blocks="braces", in_paper=True, runner="java"),
    _row(
        "javascript",
        "JavaScript",
        ".js .mjs .cjs .jsx",
        _C,
        blocks="braces",
        aliases="js node",
        quotes="\"'`",
        in_paper=True,
        runner="js",
    ),
    _row("c", "C", ".c .h", _C, blocks="braces", in_paper=True),
    _row("go", "Go", ".go", _C, blocks="braces", aliases="golang", quotes="\"'`", in_paper=True, runner="go"),
    _row("html", "HTML", ".html .htm .xhtml", _MARKUP, tag="<!--language: HTML-->", in_paper=True),
    # Braces also expand variables in Shell and Perl, so they do not tell where a block ends.
    _row("shell", "Shell", ".sh .bash .zsh", _HASH, aliases="bash sh zsh", in_paper=True),
    _row("php", "PHP", ".php .php5 .inc", _C, blocks="braces", in_paper=True),
    _row("css", "CSS", ".css", ("", ("/*", "*/")), tag="/* language: CSS */", blocks="braces", in_paper=True),
    _row("csharp", "C#", ".cs", _C, blocks="braces", aliases="c# cs", in_paper=True),
    _row("cuda", "Cuda", ".cu .cuh", _C, blocks="braces", in_paper=True),
    _row(
        "objectivec",
        "Objective-C",
        ".m .h",
        _C,
        blocks="braces",
        aliases="objective-c objc",
        in_paper=True,
    ),
    _row(
        "objectivecpp",
        "Objective-C++",
        ".mm",
        _C,
        blocks="braces",
        aliases="objectivec++ objective-c++ objc++",
        in_paper=True,
    ),
    _row("scala", "Scala", ".scala .sc", _C, blocks="braces", in_paper=True),
    _row("tex", "TeX", ".tex .sty .cls .ltx", _PERCENT, aliases="latex", quotes="", in_paper=True),
    _row(
        "typescript",
        "TypeScript",
        ".ts .tsx .mts .cts",
        _C,
        blocks="braces",
        aliases="ts",
        quotes="\"'`",
        in_paper=True,
    ),
    # A single quote also starts a lifetime in Rust, so it does not delimit a string here.
    _row("rust", "Rust", ".rs", _C, blocks="braces", aliases="rs", quotes='"', in_paper=True, runner="rust"),
    _row("sql", "SQL", ".sql", _DASHES, in_paper=True),
    _row("kotlin", "Kotlin", ".kt .kts", _C, blocks="braces", in_paper=True),
    # Pascal is tagged in C style by the released model although // is Delphi's comment.
    _row("pascal", "Pascal", ".pas .pp", _C, quotes="'", in_paper=True),
    _row("r", "R", ".r", _HASH, blocks="braces", in_paper=True),
    _row(
        "fortran",
        "Fortran",
        ".f .f77 .f90 .f95 .f03 .f08 .for",
        ("!", ("", "")),
        tag="!language: Fortran",
        in_paper=True,
    ),
    # Further tags of the released model.
    _row("dart", "Dart", ".dart", _C, blocks="braces"),
    _row("lua", "Lua", ".lua", ("--", ("--[[", "]]")), tag="// language: Lua"),
    _row("swift", "Swift", ".swift", _C, tag="// language: swift", blocks="braces"),
    _row("groovy", "Groovy", ".groovy .gradle", _C, blocks="braces"),
    _row("actionscript", "ActionScript", ".as", _C, blocks="braces"),
    _row("solidity", "Solidity", ".sol", _C, blocks="braces"),
    _row("cobol", "Cobol", ".cob .cbl", ("*>", ("", "")), tag="// language: Cobol"),
    _row("perl", "Perl", ".pl .pm", _HASH),
    _row("ruby", "Ruby", ".rb .rake", _HASH, aliases="rb"),
    _row("gdscript", "GDScript", ".gd", _HASH, blocks="indent"),
    _row("julia", "Julia", ".jl", _HASH),
    _row("elixir", "Elixir", ".ex .exs", _HASH),
    _row("powershell", "PowerShell", ".ps1 .psm1", _HASH, blocks="braces"),
    _row("vue", "Vue", ".vue", _MARKUP, tag="<!--language: Vue-->"),
    _row("markdown", "Markdown", ".md .markdown", _MARKUP, tag="<!--language: Markdown-->", aliases="md"),
    _row("prolog", "Prolog", ".pro .pl", _PERCENT),
    _row("matlab", "Matlab", ".m", _PERCENT),
    _row("erlang", "Erlang", ".erl .hrl", _PERCENT),
    _row("lean", "Lean", ".lean", _DASHES),
    _row("haskell", "Haskell", ".hs", _DASHES),
    _row("lisp", "Lisp", ".lisp .lsp .el", _SEMICOLON, quotes='"'),
    _row("scheme", "Scheme", ".scm .ss", _SEMICOLON, quotes='"'),
    _row("assembly", "Assembly", ".asm .s", _SEMICOLON),
    _row("clojure", "Clojure", ".clj .cljs .cljc", _SEMICOLON, quotes='"'),
    _row("visualbasic", "Visual Basic", ".vb", _APOSTROPHE, aliases="vb", quotes='"'),
    _row("basic", "Basic", ".bas", _APOSTROPHE, quotes='"'),
    _row("excel", "Excel", "", _APOSTROPHE, quotes='"'),
    _row("delphi", "Delphi", ".dpr", ("//", ("{", "}")), tag="{language: Delphi}", quotes="'"),
    _row("abap", "Abap", ".abap", ("*", ("", ""))),
)

EXECUTABLE: tuple[Language, ...] = tuple(
    sorted(
        (language for language in LANGUAGES if language.runner),
        key=lambda language: ("python", "cpp", "java", "javascript", "go", "rust").index(language.key),
    )
)
"""The languages that HumanEval-X has problems in, in the benchmark's order."""


@cache
def _by_name() -> dict[str, Language]:
    return {
        name.lower(): language
        for language in LANGUAGES
        for name in (language.key, language.name, *language.aliases)
    }  # fmt: skip


def get(name: str) -> Language:
    """The language called `name`: its key, display name or an alias, in any case.

    Raises:
        CodeGeeXError: no such language; the message lists the nearest names.
    """
    if not isinstance(name, str):
        raise CodeGeeXError(f"a language is named by a text, not by {name!r}.")
    table = _by_name()
    try:
        return table[name.strip().lower()]
    except KeyError:
        import difflib

        near = difflib.get_close_matches(name.strip().lower(), table, n=3)
        hint = f"did you mean {' or '.join(near)}?" if near else "for example python, cpp, java, javascript, go, rust."
        raise CodeGeeXError(f"unknown language {name!r}: {hint}") from None


@cache
def _by_suffix() -> dict[str, tuple[Language, ...]]:
    suffixes = {suffix for language in LANGUAGES for suffix in language.extensions}
    return {suffix: tuple(one for one in LANGUAGES if suffix in one.extensions) for suffix in suffixes}


def for_path(path: str | PurePath) -> tuple[Language, ...]:
    """The languages that a file called `path` may be in, the likeliest first; empty where none is known.

    Some suffixes belong to several languages (.h, .m, .pl): telling these apart needs the file's text.
    """
    return _by_suffix().get(splitext(path)[1].lower(), ())


def named(names: Iterable[str]) -> tuple[Language, ...]:
    """`get` over several names."""
    return tuple(get(name) for name in names)
