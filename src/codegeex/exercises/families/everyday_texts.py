"""Everyday programs with strings."""

from __future__ import annotations

from codegeex.exercises.build import (
    add,
    assign,
    backwards,
    block,
    builder,
    collect,
    count_up,
    empty,
    empty_map,
    fold,
    length,
    let,
    loop,
    ret,
    span,
    text,
    var,
    when,
)
from codegeex.exercises.families.everyday import Known, everyday, tallied
from codegeex.exercises.ir import Block, Expr, Name, op
from codegeex.exercises.types import BOOL, BUILDER, CHAR, INT, STR, STRS, map_of

_C = var("c", CHAR)
_TEXT = ("text s string", STR)
_TEXTS = ("hello", "Good Morning", "a", "x1 y2", "", "ABC abc")
_FULL = ("hello", "Good Morning", "a", "x1 y2", "ABC abc")
_PHRASES = ("the quick brown fox", "one", "good  morning", "a b c d", "hello world")
_LETTER = ("letter c char", CHAR)


def _kept(source: Name, test: Expr, one: Name = _C) -> Block:
    result = var("result", BUILDER)
    return block(let(result, builder()), loop(one, source, [when(test, [add(result, one)])]), ret(op("built", result)))


def _count_char(source: Name, letter: Name) -> list[Expr]:
    one = var("symbol", CHAR)
    return [fold("count", one, source, None, one.eq(letter))]


def _capital(word: Name) -> Expr:
    return text(op("char_upper", word[0]), op("from", word, 1))


def _capitalized(word: Name) -> list[Block]:
    return [block(when(empty(word), [ret("")]), ret(_capital(word)))]


def _all_capitalized(source: Name) -> list[Block]:
    word, words = var("word", STR), var("words", STRS)
    return [block(let(words, collect(word, op("words", source), _capital(word))), ret(op("join", words, " ")))]


def _anagrams(first: Name, second: Name) -> list[Block]:
    counts = var("counts", map_of(CHAR, INT))
    return [
        block(
            when(length(first).ne(length(second)), [ret(False)]),
            let(counts, empty_map(CHAR, INT)),
            loop(_C, first, [count_up(counts, _C)]),
            loop(_C, second, [count_up(counts, _C, -1), when(op("get", counts, _C, 0) < 0, [ret(False)])]),
            ret(True),
        )
    ]


def _without(source: Name, letter: Name) -> Block:
    return _kept(source, var("symbol", CHAR).ne(letter), var("symbol", CHAR))


def _word_list(source: Name) -> Block:
    words = var("words", STRS)
    return block(let(words, op("words", source)), ret(words))


def _word_count(source: Name) -> Block:
    words = var("words", STRS)
    return block(let(words, op("words", source)), ret(length(words)))


def _longest(source: Name) -> list[Block]:
    best, word = var("longest", STR), var("word", STR)
    step = when(length(word) > length(best), [assign(best, word)])
    return [block(let(best, ""), loop(word, op("words", source), [step]), ret(best))]


def _reversed_words(source: Name) -> list[Block]:
    words, turned = var("words", STRS), var("turned", STRS)
    return [block(let(words, op("words", source)), let(turned, backwards(words)), ret(op("join", turned, " ")))]


def _repeated(source: Name, times: Name) -> list[Block]:
    result, i = var("result", BUILDER), var("i")
    return [
        block(ret(op("repeat", source, times))),
        block(let(result, builder()), loop(i, span(0, times), [add(result, source)]), ret(op("built", result))),
    ]


def _same_letters_reversed(source: Name) -> list[Block]:
    result, i = var("result", BUILDER), var("i")
    steps = loop(i, span(length(source) - 1, -1, -1), [add(result, source[i])])
    return [block(let(result, builder()), steps, ret(op("built", result)))]


def _every_second(source: Name) -> list[Block]:
    result, i = var("result", BUILDER), var("i")
    return [
        block(
            let(result, builder()),
            loop(i, span(0, length(source), 2), [add(result, source[i])]),
            ret(op("built", result)),
        )
    ]


everyday(
    "everyday_texts",
    1,
    (
        Known("reverse_string reversed_text reverse_text", ("reverse a string", "return a string in reverse order",
            "return a string from its end to its beginning"), (_TEXT,), STR, lambda s: [backwards(s),
            *_same_letters_reversed(s)], _TEXTS, ("reverse a string", "string reverse",
            "write a function that reverses a string")),
        Known("to_uppercase upper_case uppercase", ("convert a string to uppercase",
            "return a string in uppercase letters"), (_TEXT,), STR, lambda s: [op("upper", s)], _TEXTS,
            ("uppercase a string", "string to uppercase")),
        Known("to_lowercase lower_case lowercase", ("convert a string to lowercase",
            "return a string in lowercase letters"), (_TEXT,), STR, lambda s: [op("lower", s)], _TEXTS,
            ("lowercase a string", "string to lowercase")),
        Known("count_char count_letter char_count", ("count how often a character occurs in a string",
            "count the occurrences of a character in a string"), (_TEXT, _LETTER), INT, _count_char, (["hello", "l"],
            ["Banana", "a"], ["", "x"], ["abc", "z"]), ("count a character in a string",
            "count occurrences of a letter")),
        Known("contains_text contains_substring has_substring", ("check whether a string contains another",
            "check if a string contains a substring"), (_TEXT, ("part substring piece", STR)), BOOL, lambda s,
            p: [op("has", s, p)], (["hello", "ell"], ["hello", "elo"], ["a", "abc"], ["abc", "c"]),
            ("string contains substring",)),
        Known("starts_with has_prefix begins_with", ("check whether a string starts with a prefix",
            "check if a string begins with another"), (_TEXT, ("prefix start", STR)), BOOL, lambda s, p: [op("starts",
            s, p)], (["hello", "he"], ["hello", "lo"], ["a", "abc"], ["abc", "a"]), ("string starts with prefix",)),
        Known("ends_with has_suffix", ("check whether a string ends with a suffix",
            "check if a string ends with another"), (_TEXT, ("suffix ending", STR)), BOOL, lambda s, p: [op("ends", s,
            p)], (["hello", "lo"], ["hello", "he"], ["a", "abc"], ["abc", "c"]), ("string ends with suffix",)),
        Known("repeat_text repeat_string repeat", ("repeat a string a number of times",
            "return a string repeated n times"), (_TEXT, ("times n count", INT)), STR, _repeated, (["ab", 3], ["x",
            0], ["hi ", 2], ["", 4]), ("repeat a string", "repeat a string n times")),
        Known("join_two join_with_space full_name", ("join two strings with a space between them",
            "put a first name and a last name together with a space"), (("first left", STR), ("last right", STR)),
            STR, lambda a, b: [text(a, " ", b)], (["Ada", "Lovelace"], ["a", "b"], ["x", ""]),
            ("full name from first and last name",)),
        Known("greet greeting say_hello", ("greet a person by name like \"Hello, Ada!\"",
            "return a greeting for a name"), (("name person", STR),), STR, lambda s: [text("Hello, ", s, "!")],
            ("Ada", "Bob", "you"), ("greet", "greeting function", "say hello")),
        Known("remove_spaces without_spaces strip_spaces", ("remove all spaces from a string",
            "return a string without its spaces"), (_TEXT,), STR, lambda s: [op("replace", s, " ", ""), _kept(s,
            _C.ne(" "))], _PHRASES, ("remove spaces", "remove spaces from a string",
            "remove whitespace from a string")),
        Known("remove_char without_char", ("remove a character from a string",
            "return a string without all occurrences of a character"), (_TEXT, _LETTER), STR, lambda s,
            c: [_without(s, c)], (["hello", "l"], ["Banana", "a"], ["", "x"], ["abc", "z"]),
            ("remove a character from a string",)),
        Known("remove_digits without_digits", ("remove the digits from a string",
            "return a string without its digits"), (_TEXT,), STR, lambda s: [_kept(s, ~op("is_digit", _C))], ("a1b2",
            "2024", "none", "", "x 9 y"), ("remove digits from a string", "remove numbers from a string")),
        Known("spaces_to_hyphens hyphenate slug", ("replace the spaces of a string by hyphens",
            "turn a title into a slug with hyphens"), (("title text", STR),), STR, lambda s: [op("replace", s, " ",
            "-")], _PHRASES, ("replace spaces with hyphens",)),
        Known("replace_text replace_substring", ("replace a part of a string by another string",
            "replace all occurrences of a substring"), (_TEXT, ("old before", STR), ("new_text after", STR)), STR,
            lambda s, a, b: [op("replace", s, a, b)], (["hello", "l", "L"], ["aXbX", "X", ""], ["abc", "z", "y"]),
            ("replace a substring",)),
        Known("capitalize capitalize_first capitalized", ("capitalize the first letter of a string",
            "make the first letter of a word uppercase"), (("word text", STR),), STR, _capitalized, ("hello",
            "Already", "x", "", "two words"), ("capitalize a string", "capitalize first letter")),
        Known("title_case capitalize_words capitalize_all", ("capitalize every word of a text",
            "capitalize the first letter of each word in a string"), (("text sentence title", STR),), STR,
            _all_capitalized, _PHRASES, ("title case", "capitalize each word")),
        Known("first_character first_letter", ("return the first character of a string",
            "get the first letter of a word"), (_TEXT,), CHAR, lambda s: [s[0]], _FULL,
            ("first character of a string",)),
        Known("last_character last_letter", ("return the last character of a string",
            "get the last letter of a word"), (_TEXT,), CHAR, lambda s: [op("last", s)], _FULL,
            ("last character of a string",)),
        Known("every_second_character every_other_letter",
            ("return every second character of a string, from the first on",
            "keep every other character of a string"), (_TEXT,), STR, _every_second, _TEXTS,
            ("every second character",)),
        Known("is_anagram are_anagrams check_anagram", ("check whether two words are anagrams",
            "check if two strings are anagrams of each other",
            "return whether two strings have the same letters in another order"), (("first a left", STR),
            ("second b right", STR)), BOOL, _anagrams, (["listen", "silent"], ["abc", "abd"], ["aab", "abb"], ["",
            ""], ["rat", "tart"], ["tea", "eat"]), ("anagram check", "anagrams", "is anagram")),
        Known("is_numeric is_number all_digits", ("check whether a string has only digits",
            "check if all characters of a string are digits"), (_TEXT,), BOOL, lambda s: [fold("all", _C, s,
            op("is_digit", _C))], ("123", "12a", "x", "0", "1 2"), ("string is numeric",)),
        Known("count_digits number_of_digits_in", ("count the digits in a string",
            "return how many digits a string has"), (_TEXT,), INT, lambda s: [fold("count", _C, s, None,
            op("is_digit", _C))], ("a1b2", "2024", "none", "", "x 9 y"), ("count digits in a string",)),
        Known("count_uppercase count_capitals", ("count the uppercase letters in a string",
            "return how many capital letters a string has"), (_TEXT,), INT, lambda s: [fold("count", _C, s, None,
            op("is_upper", _C))], ("aBC", "NASA", "none", "", "One Two"), ("count uppercase letters",)),
        Known("count_spaces number_of_spaces", ("count the spaces in a string",
            "return how many spaces a string has"), (_TEXT,), INT, lambda s: [fold("count", _C, s, None, _C.eq(" "))],
            _PHRASES, ("count spaces",)),
        Known("letter_frequencies count_letters char_frequencies",
            ("count how often each character occurs in a string",
            "return a map from each character of a string to how often it occurs"), (_TEXT,), map_of(CHAR, INT),
            lambda s: [tallied(s, _C)], _TEXTS, ("character frequency", "count characters in a string",
            "frequency of each letter")),
        Known("parse_number to_number string_to_int", ("convert a string to a number",
            "parse a string as a whole number"), (_TEXT,), INT, lambda s: [op("parse_int", s)], ("12", "-7", "0",
            "365"), ("string to int", "parse int")),
    ),
)  # fmt: skip

everyday(
    "everyday_sentences",
    1,
    (
        Known("count_words word_count number_of_words", ("count the words in a sentence",
            "return how many words a text has", "count the words in a string"), (("text sentence", STR),), INT,
            lambda s: [_word_count(s)], _PHRASES, ("word count", "count words", "count words in a string")),
        Known("split_words list_words words_of", ("split a sentence into words",
            "return the words of a text as a list"), (("text sentence", STR),), STRS, lambda s: [_word_list(s)],
            _PHRASES, ("split a string into words",)),
        Known("longest_word find_longest_word", ("return the longest word of a sentence",
            "find the longest word in a text, the first of several"), (("text sentence", STR),), STR, _longest,
            _PHRASES, ("longest word", "longest word in a sentence")),
        Known("reverse_words reversed_words", ("reverse the order of the words in a sentence",
            "return the words of a text in reverse order"), (("text sentence", STR),), STR, _reversed_words, _PHRASES,
            ("reverse words", "reverse words in a sentence")),
    ),
)  # fmt: skip
