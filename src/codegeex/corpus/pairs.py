"""Pairs of what is wanted and the function that does it, mined from docstrings and doc comments.

Python is parsed; in the other languages a scanner that knows comments, strings and braces looks for a comment right
above a function definition. A pair's code is the whole definition without its comment, annotations and indentation.
"""

from __future__ import annotations

import ast
import re
import textwrap
import warnings
from collections.abc import Iterator
from dataclasses import dataclass

from codegeex.corpus.wordings import TEST_NAME, wordings

MAX_LINES, MAX_CHARS, MAX_WIDTH = 40, 1500, 140
BRACE_LANGUAGES = ("cpp", "c", "java", "javascript", "typescript", "go", "rust")


@dataclass(frozen=True, slots=True)
class Pair:
    """A function, several wordings of what it does, and its code."""

    name: str
    intents: tuple[str, ...]
    code: str


def mine(text: str, language: str) -> Iterator[Pair]:
    """The pairs in a file's text; nothing where the language is unknown to the miner or the text does not parse."""
    if language == "python":
        found = _python(text)
    elif language in BRACE_LANGUAGES:
        found = _braces(text, language)
    else:
        return
    for name, comment, code in found:
        intents = wordings(name, comment)
        if intents and _good_code(name, code):
            yield Pair(name, intents, code)


_EMPTY_BODY = re.compile(
    r"pass$|\.\.\.$|raise NotImplemented|throw new \w*(?:Unsupported|NotImplemented)|unimplemented!|todo!|panic[!(]"
    r"|DeveloperError\.|throw new Error\([^)]*(?:not implemented|abstract|override)"
    r"|return [A-Za-z_][\w.]*;$|\w+ = \w+;$"
    r"|(?:return\s+)?(?:await\s+)?(?:self|this|super|cls)\b\s*(?:\.|->|\(|::)[^\n]*$|return;?$"
)


def _good_code(name: str, code: str) -> bool:
    lines = code.split("\n")
    if not 2 <= len(lines) <= MAX_LINES or len(code) > MAX_CHARS or max(map(len, lines)) > MAX_WIDTH:
        return False
    if not code.isascii() or TEST_NAME.search(name) or any(line.endswith("\\") for line in lines):
        return False
    body = code[code.find("{") + 1 : code.rfind("}")] if lines[-1].startswith("}") else "\n".join(lines[1:])
    statements = [line for line in map(str.strip, body.split("\n")) if line and not line.startswith(("//", "#", "/*"))]
    if len(statements) == 1:
        overload = re.compile(rf"(?:return\s+)?(?:\w+(?:\.|::))*{re.escape(name)}\s*\(")
        return not (_EMPTY_BODY.match(statements[0]) or overload.match(statements[0]))
    return bool(statements)


# --------------------------------------------------------------------------------------------------------- Python


def _python(text: str) -> Iterator[tuple[str, str, str]]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    lines = text.split("\n")
    for node in _functions(tree):
        comment = ast.get_docstring(node)
        docstring, rest = node.body[0], node.body[1:]
        if comment and rest and node.lineno < docstring.lineno and (docstring.end_lineno or 0) < rest[0].lineno:
            head = lines[node.lineno - 1 : docstring.lineno - 1]
            body = "\n".join(lines[docstring.end_lineno : node.end_lineno]).lstrip("\n")
            yield node.name, comment, textwrap.dedent("\n".join([*head, body])).rstrip()


def _functions(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Functions of the module, and methods that stand without their class."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node
        elif isinstance(node, ast.ClassDef):
            for inner in node.body:
                if isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef):
                    arguments = inner.args.posonlyargs + inner.args.args
                    if not arguments or arguments[0].arg not in ("self", "cls", "mcs", "metacls"):
                        yield inner


# --------------------------------------------------------------------------------- languages with braces

_COMMENT = r"(?P<comment>//[^\n]*|/\*[\s\S]*?\*/)"
_STRING = r'"(?:\\[\s\S]|[^"\\\n])*"'
_CHAR = r"'(?:\\[\s\S]|[^'\\\n])*'"
_JS_REGEX = (
    r"(?:(?<=[=(,:!&|?;\[{}])|(?<=[=(,:!&|?;\[{}] )|(?<=return ))"
    r"/(?![/*])(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\n\[])+/[a-z]*"
)
_SCRIPT = rf"{_COMMENT}|{_STRING}|{_CHAR}|`(?:\\[\s\S]|[^`\\])*`|{_JS_REGEX}"
_CPLUS = rf'{_COMMENT}|R"([^(\s"]*)\([\s\S]*?\)\2"|{_STRING}|(?<![0-9a-fA-F]){_CHAR}'
_TOKENS = {
    "cpp": re.compile(_CPLUS),
    "c": re.compile(_CPLUS),
    "java": re.compile(rf'{_COMMENT}|"""[\s\S]*?"""|{_STRING}|{_CHAR}'),
    "javascript": re.compile(_SCRIPT),
    "typescript": re.compile(_SCRIPT),
    "go": re.compile(rf"{_COMMENT}|{_STRING}|{_CHAR}|`[^`]*`"),
    "rust": re.compile(
        rf'{_COMMENT}|\bb?r(#*)"[\s\S]*?"\2|"(?:\\[\s\S]|[^"\\])*"|' + r"b?'(?:\\[^\n']*'|\\''|[^'\\\n]')"
    ),
}
_ANNOTATION = re.compile(r"[ \t]*(?:@\w[\w.]*(?:\([^()]*(?:\([^()]*\)[^()]*)*\))?|#!?\[[^\n]*\])[ \t]*\n?")
_KEYWORD_LIST = "if for while switch catch return else new throw sizeof do delete synchronized typeof operator decltype"
_KEYWORDS = frozenset(_KEYWORD_LIST.split())
_NAME = {
    "java": re.compile(
        r"(?:(?:public|protected|private|static|final|synchronized|default|strictfp)\s+)*(?:<.{1,80}?>\s+)?"
        r"(?!public\b|protected\b|private\b|static\b|final\b|new\b|class\b|return\b)"
        r"[A-Za-z][\w.<>\[\],? &]*\s+(?P<name>[a-z]\w*)\s*\("
    ),
    "go": re.compile(r"func (?P<name>\w+)(?:\[[^\]\n]*\])?\("),
    "rust": re.compile(
        r"(?:pub(?:\([\w: ]+\))?\s+)?(?:(?:const|async|unsafe|extern(?:\s+\S+)?)\s+)*fn (?P<name>\w+)(?:<[^(]*>)?"
        r"\s*\("
    ),
    "javascript": re.compile(
        r"(?:export\s+(?:default\s+)?)?(?:async\s+)?function\s*\*?\s*(?P<name>[\w$]+)\s*\("
        r"|(?:export\s+)?(?:const|let|var)\s+(?P<name2>[\w$]+)\s*=\s*(?:async\s+)?"
        r"(?:function\b[^(]*\(|\([^()]*\)\s*=>\s*$|\w+\s*=>\s*$)"
        r"|(?P<lead>(?:[\w$]+\.)+|(?:static\s+)?)(?P<name3>[\w$]+)(?P<link>\s*[=:]\s*function\b[^(]*)?\("
    ),
    "cpp": re.compile(
        r"(?!(?:class|struct|enum|union|namespace|extern|using|return|typedef|else|case|public|private|operator)\b)"
        r"(?=[\w:])[\w:<>,&*\s\[\]()]*?[\w>&*\]]\s*[\s&*](?P<name>[A-Za-z_]\w*)\s*\("
    ),
}
_NAME |= {"c": _NAME["cpp"], "typescript": _NAME["javascript"]}


def _braces(text: str, language: str) -> Iterator[tuple[str, str, str]]:
    comments: list[tuple[int, int]] = []

    def blank(match: re.Match[str]) -> str:
        if match["comment"] is not None:
            comments.append(match.span())
        return re.sub(r"[^\n]", " " if match["comment"] is not None else "0", match[0])

    mask = _TOKENS[language].sub(blank, text)
    closings = _closings(mask)
    for start, end in _blocks(text, comments):
        definition = _definition(text, mask, end, closings, language)
        if definition:
            yield definition[0], _comment_text(text[start:end]), definition[1]


def _closings(mask: str) -> dict[int, int]:
    """Where each opening brace closes."""
    stack: list[int] = []
    closings: dict[int, int] = {}
    for match in re.finditer(r"[{}]", mask):
        if match[0] == "{":
            stack.append(match.start())
        elif stack:
            closings[stack.pop()] = match.start()
    return closings


def _blocks(text: str, comments: list[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Comments on lines of their own; // comments on lines that follow each other make one block."""
    block: tuple[int, int] | None = None
    for start, end in comments:
        line_start = text.rfind("\n", 0, start) + 1
        if text[line_start:start].strip():
            continue
        between = text[block[1] : start] if block else ""
        if block and between.count("\n") == 1 and not between.strip() and text.startswith("//", start):
            block = (block[0], end)
        else:
            if block:
                yield block
            block = (start, end)
    if block:
        yield block


def _comment_text(comment: str) -> str:
    """A comment's words without its marks."""
    if comment.startswith("/*"):
        comment = re.sub(r"^/\*+[!<]?|\*+/$", "", comment)
        return "\n".join(re.sub(r"^\s*\*+(?!\w)\s?", "", line) for line in comment.split("\n"))
    return "\n".join(re.sub(r"^\s*//+[!<]?\s?", "", line) for line in comment.split("\n"))


def _definition(text: str, mask: str, end: int, closings: dict[int, int], language: str) -> tuple[str, str] | None:
    """The name and code of the function whose definition follows the comment that ends at `end`."""
    if mask[end : end + 1] != "\n":
        return None
    start = end + 1
    while language not in ("go", "javascript") and (annotation := _ANNOTATION.match(mask, start)):
        start = annotation.end()
    start += len(mask[start : start + 80]) - len(mask[start : start + 80].lstrip(" \t"))
    opening = _opening(mask, start, language)
    closing = closings.get(opening)
    if closing is None or closing - start > 2 * MAX_CHARS:
        return None
    match = _NAME[language].match(
        _without_template(mask[start:opening]) if language in ("cpp", "c") else mask[start:opening]
    )
    if match is None:
        return None
    named = match.groupdict()
    name = named["name"] or named.get("name2") or named.get("name3") or ""
    line_start = mask.rfind("\n", 0, start) + 1
    closing_line = mask.rfind("\n", 0, closing) + 1
    indent = mask[line_start:start]
    if name in _KEYWORDS or indent.strip() or mask[closing_line:closing] != indent or closing_line <= start:
        return None
    code = textwrap.dedent(text[line_start : closing + 1])
    if re.search(r"^#", mask[line_start:closing], re.MULTILINE) and language in ("cpp", "c"):
        return None
    if language in ("javascript", "typescript"):
        return _as_function(name, code, named, mask[closing + 1 : closing + 2])
    return name, code


def _opening(mask: str, start: int, language: str) -> int:
    """Where the body of the definition at `start` opens; -1 where a statement ends or braces close before that."""
    depth = 0
    for match in re.compile(r"[()\[\]{};]").finditer(mask, start, start + 800):
        mark, at = match[0], match.start()
        depth += (mark in "([") - (mark in ")]")
        if depth < 0 or (depth == 0 and mark in ";}" and not mask.endswith(("interface{", "struct{"), 0, at)):
            return -1
        if depth == 0 and mark == "{" and not (language == "go" and mask.endswith(("interface", "struct"), 0, at)):
            return at
    return -1


def _without_template(header: str) -> str:
    """A C++ header without its leading template<...> clauses."""
    while match := re.match(r"template\s*<", header):
        depth, at = 1, match.end()
        while depth and at < len(header):
            depth += (header[at] == "<") - (header[at] == ">" and header[at - 1] != "-")
            at += 1
        header = header[at:].lstrip()
    return header


def _as_function(name: str, code: str, named: dict[str, str | None], after: str) -> tuple[str, str] | None:
    """A JavaScript function as a declaration of its own: methods that do not use `this` become functions."""
    if re.search(r"\bthis\b|\bsuper\b", code):
        return None
    if named["name2"]:
        return name, code + (";" if after == ";" else "")
    if named["name3"]:
        if named["lead"] in ("", "static ") and not named["link"] and name in ("constructor", "get", "set"):
            return None
        code = f"function {name}" + code[code.index("(") :]
    return name, code
