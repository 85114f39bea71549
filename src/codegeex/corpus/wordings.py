"""Wordings of what a function does: from its doc comment's first sentence, and from its name."""

from __future__ import annotations

import re

MIN_WORDS, MAX_WORDS = 3, 25
TEST_NAME = re.compile(r"^_*(?:test|bench|setup$|teardown$|example)|(?:Test|_test)$", re.IGNORECASE)
"""Names of functions that test something rather than do it."""

_VERB_LIST = """
    accept access accumulate acquire add adjust advance align allocate allow append apply approximate ask assert assign
    attach attempt average bind blend build cache calculate call cancel capitalize capture cast center change check
    choose clamp classify clean clear clip clone close collapse collect combine compare compile complete compose
    compress compute concatenate configure consider construct consume convert copy count create crop customize cut
    deallocate decode decompose decompress decorate decrease decrypt deduce deduplicate define delete derive
    deserialize destroy detect determine difference differentiate disable discard discover dispatch display divide draw
    drop dump emit enable encode encrypt ensure enumerate escape establish estimate evaluate examine exchange exclude
    execute expand explode extend extract factor fetch fill filter find finish fire fit flatten flip flush fold format
    free freeze generate get give group guess handle hash hide identify ignore implement increment indicate infer
    initialize inject insert inspect install instantiate integrate intercept interpolate intersect invalidate invert
    invoke issue iterate join keep limit link list load locate lock log look make map mark match measure merge minimize
    modify monitor move multiply mutate negate normalize notify obtain open order output override pack pad parse
    partition pause perform permit pick place plot poll pop populate prefix prepare prepend print probe process produce
    project prompt propagate provide prune pull push put quantize query quote raise randomize rank read rebuild receive
    recompute record recover reduce refresh register reject release remove rename render repeat replace report
    represent request require reset reshape resize resolve restore resume retrieve retry return reverse rewrite rotate
    round run sample save scale scan schedule search select send separate serialize set shift show shrink shuffle
    shutdown sign simplify skip sleep slice solve sort spawn specify split start stop store strip subscribe substitute
    subtract sum supply suspend swap switch sync take tell test toggle tokenize track transform translate transpose
    traverse trigger trim truncate try turn unescape union unlink unlock unpack unregister unwrap update upload use
    validate verify visit wait walk warn wrap write yield zip
"""
_VERBS = frozenset(_VERB_LIST.split())
_GENERIC_LIST = (
    "main init run get set apply call execute new next do process update start stop value create build handle visit"
    " make accept func function helper wrapper inner callback impl from into test clone default fmt drop"
)
_GENERIC_NAMES = frozenset(_GENERIC_LIST.split())
_USELESS = re.compile(
    r"(?:deprecated|internal|todo|fixme|xxx|hack|see|test|note|warning|inherit|overrid|this is|private|nolint|eslint"
    r"|copyright|licen[cs]e|constructor|getter|setter|noqa|type:|for internal|used by|only |same as|like |equivalent"
    r"|example|usage|ditto|implement(?:s|ation)? (?:of |the )?\w+(?: interface)?$|part of|called by|called when"
    r"|we|we're|we've|i|as long as|if|is|are|as|used (?:for|by|to|in|when)|handler for|support function|because|since"
    r"|but|so|description|these|those|that|it|not|no|unfortunately|however|for|requires|effects|template|should|obsolete"
    r"|legacy|old|temporary|fallback|hook)\b",
    re.IGNORECASE,
)
_STOP_LINE = re.compile(
    r"@(?!brief|summary|description|desc\b|returns? \w+ \w+)|[\\](?!brief)\w|#|```|~~~|>>>|\.\. |:\w+[ :]|={3,}|-{3,}"
    r"|(?:Args|Arguments|Parameters|Returns|Raises|Example|Examples|Usage|Note|Notes|Safety|Panics)\s*:?\s*$"
    r"|[-*+] |\d+[.)] "
)
_MARKUP = (
    (re.compile(r"\{@\w+\s+([^{}]*)\}"), r"\1"),
    (re.compile(r":[\w:]+:`~?([^`<]*)(?:<[^`]*>)?`"), r"\1"),
    (re.compile(r"</?[a-zA-Z][^<>]{0,80}>"), ""),
    (re.compile(r"\[([^\[\]]+)\](?:\([^()]*\)|\[[^\[\]]*\])"), r"\1"),
    (re.compile(r"\[(`[^`]+`)\]"), r"\1"),
    (re.compile(r"`+([^`]*)`+_*"), r"\1"),
    (re.compile(r"\*\*?(\w[^*]*)\*\*?"), r"\1"),
    (re.compile(r"[\\@](?:brief|summary|description|desc|c|p|a|e|em|b|ref)\b\s*"), ""),
    (re.compile(r"&lt;"), "<"),
    (re.compile(r"&gt;"), ">"),
    (re.compile(r"&amp;"), "&"),
    (re.compile(r"\s+"), " "),
)
_PREAMBLE = re.compile(
    r"^(?:(?:this|the|a|an) )?"
    r"(?:(?:static |helper |utility |convenience |internal )*(?:function|method|routine|helper)|it)"
    r" (?:that |which |to |will |is used to |can be used to )?(?=[a-z])",
    re.IGNORECASE,
)
_DANGLING = re.compile(
    r"\b(?:and|or|the|a|an|of|to|in|for|with|by|from|is|are|that|which|if|then|as|on)$", re.IGNORECASE
)
_SENTENCE_END = re.compile(r"(?<!e\.g)(?<!i\.e)(?<!etc)(?<!vs)(?<!cf)[.!?](?:\s+(?=[A-Z(])|\s*$)|;\s|:\s*$|\s--\s")


def sentence(comment: str, name: str = "") -> str | None:
    """The first sentence of a doc comment in plain words, or None where it says nothing of use."""
    lines: list[str] = []
    for line in comment.strip().splitlines():
        line = line.strip()
        if not line and lines:
            break
        if _STOP_LINE.match(line):
            if lines or line.startswith(("@", "\\")):
                break
            return None
        if line:
            lines.append(line)
    plain = " ".join(lines)
    for pattern, replacement in _MARKUP:
        plain = pattern.sub(replacement, plain)
    plain = _SENTENCE_END.split(plain.strip(), maxsplit=1)[0]
    if name:
        plain = re.sub(rf"^(?:[\w.]+[.:])?{re.escape(name)}(?:\([^()]*\))?(?:\s*[:=-]+)?\s+", "", plain)
    plain = re.sub(r"^[A-Za-z]+[a-z][A-Z]\w*\s+(?=[a-z]+s\b)", "", plain)  # another name than the function's
    plain = _PREAMBLE.sub("", plain.strip(" .:;,-!?"))
    plain = plain[:1].upper() + plain[1:]
    words = plain.split()
    clean = plain.isascii() and plain[:1].isalpha() and not re.search(r"[@{}`\\]|https?:|::\s|->|=>|[a-z]\(\)$", plain)
    if not clean or not MIN_WORDS <= len(words) <= MAX_WORDS or _USELESS.match(plain) or "deprecated" in plain.lower():
        return None
    if _DANGLING.search(plain):
        return None
    wordlike = sum(bool(re.fullmatch(r"[A-Za-z][a-z'-]*[,.]?", word)) for word in words)
    return plain if wordlike * 2 > len(words) and plain.count("(") == plain.count(")") else None


def third_person(plain: str) -> str | None:
    """A sentence that begins with a verb, in the third person and small letters ("returns ..."); else None."""
    first, _, rest = plain.partition(" ")
    first = first.lower()
    if first in _VERBS:
        if first.endswith(("s", "sh", "ch", "x", "z", "o")):
            return f"{first}es {rest}"
        return f"{first[:-1]}ies {rest}" if re.search(r"[^aeiou]y$", first) else f"{first}s {rest}"
    stems = (first.removesuffix("s"), first.removesuffix("es"), first.removesuffix("ies") + "y")
    return f"{first} {rest}" if first.endswith("s") and any(stem in _VERBS for stem in stems) else None


def name_words(name: str) -> tuple[str, ...]:
    """The words of an identifier in small letters; empty where these are no use as a wording."""
    if name.startswith("__") or TEST_NAME.search(name):
        return ()
    words = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+|[^\W\d_A-Za-z]+", name)
    good = 1 <= len(words) <= 5 and all(word.isascii() and word.isalpha() for word in words)
    lowered = tuple(word.lower() for word in words)
    if not good or sum(map(len, lowered)) < 3 or (len(lowered) == 1 and lowered[0] in _GENERIC_NAMES):
        return ()
    return lowered


def wordings(name: str, comment: str) -> tuple[str, ...]:
    """The intents for a function: its sentence, its name in words, and "a function that ..."; empty where useless."""
    plain = sentence(comment, name)
    if plain is None:
        return ()
    intents = [plain]
    if words := name_words(name):
        article = "an" if words[0][0] in "aeiou" else "a"
        intents.append(f"write {article} {' '.join(words)} function")
    if third := third_person(plain):
        intents.append(f"write a function that {third}")
    return tuple(intents)
