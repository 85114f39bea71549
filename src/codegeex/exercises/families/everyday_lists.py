"""Everyday programs with lists."""

from __future__ import annotations

from codegeex.exercises.build import (
    add,
    assign,
    backwards,
    block,
    change,
    collect,
    divides,
    empty,
    empty_list,
    fold,
    length,
    let,
    loop,
    ordered,
    push,
    put,
    ret,
    span,
    text,
    var,
    when,
)
from codegeex.exercises.families.everyday import Known, everyday, tallied
from codegeex.exercises.ir import Block, Expr, Name, op
from codegeex.exercises.types import BOOL, FLOAT, GRID, INT, INTS, STR, STRS, map_of

_LIST = ("numbers nums values", INTS)
_WORDS = ("words items strings", STRS)
_VALUE = ("value target x", INT)
_LISTS: tuple[list[int], ...] = ([3, 1, 4, 1, 5], [2, 8], [7], [-3, 0, 9, -3], [10, 20, 30, 40], [])
_FULL = _LISTS[:-1]
_WITH = ([[3, 1, 4, 1, 5], 1], [[2, 8], 8], [[7], 3], [[-3, 0, 9, -3], -3], [[], 5])
_STRINGS: tuple[list[str], ...] = (["red", "green", "blue"], ["kiwi", "fig"], ["one"], ["to", "be", "or", "not"], [])
_S = var("word", STR)


def _each(name: Name) -> Name:
    return var({"numbers": "number", "nums": "num", "values": "value"}.get(name.name, "item"), name.type.element)


def _product(values: Name) -> list[Block]:
    one, result = _each(values), var("result")
    return [block(let(result, 1), loop(one, values, [change(result, "mul", one)]), ret(result))]


def _average(values: Name) -> list[Block]:
    total = var("total")
    mean = op("to_float", total) / op("to_float", length(values))
    return [block(when(empty(values), [ret(0.0)]), let(total, fold("sum", _each(values), values)), ret(mean))]


def _smallest(values: Name) -> list[Expr | Block]:
    one, best = _each(values), var("smallest")
    search = loop(one, values, [when(one < best, [assign(best, one)])])
    return [fold("min", one, values), block(let(best, values[0]), search, ret(best))]


def _place_of_extreme(values: Name, largest: bool) -> list[Block]:
    best, i = var("best"), var("i")
    better = values[i] > values[best] if largest else values[i] < values[best]
    return [block(let(best, 0), loop(i, span(1, length(values)), [when(better, [assign(best, i)])]), ret(best))]


def _index_of(values: Name, wanted: Name) -> list[Block]:
    i = var("i")
    return [block(loop(i, span(0, length(values)), [when(values[i].eq(wanted), [ret(i)])]), ret(-1))]


def _contains(values: Name, wanted: Name) -> list[Expr | Block]:
    one = var("item")
    return [op("contains", values, wanted), block(loop(one, values, [when(one.eq(wanted), [ret(True)])]), ret(False))]


def _distinct(values: Name) -> list[Block]:
    one, result = _each(values), var("result", INTS)
    step = when(~op("contains", result, one), [push(result, one)])
    return [block(let(result, empty_list(INT)), loop(one, values, [step]), ret(result))]


def _joined(first: Name, second: Name) -> list[Block]:
    one, result = var("item"), var("result", INTS)
    return [block(let(result, op("copy", first)), loop(one, second, [push(result, one)]), ret(result))]


def _replaced(values: Name, old: Name, new: Name) -> list[Block]:
    one, result = var("item"), var("result", INTS)
    step = when(one.eq(old), [push(result, new)], [push(result, one)])
    return [block(let(result, empty_list(INT)), loop(one, values, [step]), ret(result))]


def _swapped_ends(values: Name) -> list[Block]:
    result = var("result", INTS)
    last = length(values) - 1
    return [
        block(
            when(empty(values), [ret(op("copy", values))]),
            let(result, op("copy", values)),
            put(result, 0, values[last]),
            put(result, last, values[0]),
            ret(result),
        )
    ]


def _dot(first: Name, second: Name) -> list[Block]:
    total, i = var("total"), var("i")
    return [block(let(total, 0), loop(i, span(0, length(first)), [add(total, first[i] * second[i])]), ret(total))]


def _all_equal(values: Name) -> list[Block]:
    one = _each(values)
    return [block(loop(one, values, [when(one.ne(values[0]), [ret(False)])]), ret(True))]


def _flattened(grid: Name) -> list[Block]:
    row, one, result = var("row", INTS), var("item"), var("result", INTS)
    return [block(let(result, empty_list(INT)), loop(row, grid, [loop(one, row, [push(result, one)])]), ret(result))]


def _first(values: Name, count: Name) -> list[Block]:
    return [block(when(count > length(values), [ret(op("copy", values))]), ret(op("slice", values, 0, count)))]


def _last(values: Name, count: Name) -> list[Block]:
    start = length(values) - count
    return [block(when(count > length(values), [ret(op("copy", values))]), ret(op("from", values, start)))]


def _with_numbers(words: Name) -> list[Block]:
    i, result = var("i"), var("result", STRS)
    step = push(result, text(i + 1, ". ", words[i]))
    return [block(let(result, empty_list(STR)), loop(i, span(0, length(words)), [step]), ret(result))]


everyday(
    "everyday_lists",
    1,
    (
        Known("sum_list sum_of_list total", ("return the sum of a list of numbers", "add up all numbers in a list",
            "compute the sum of the elements of a list"), (_LIST,), INT, lambda v: [fold("sum", _each(v), v)], _LISTS,
            ("sum of a list", "sum of all elements in a list", "sum a list of numbers")),
        Known("product_of_list multiply_list multiply_all", ("return the product of a list of numbers",
            "multiply all numbers in a list"), (_LIST,), INT, _product, _LISTS, ("product of a list",
            "multiply all elements of a list")),
        Known("average mean average_of_list", ("return the average of a list of numbers, 0 for an empty list",
            "compute the mean of a list of numbers", "calculate the average of the numbers in a list"), (_LIST,),
            FLOAT, _average, _LISTS, ("average of a list", "mean of a list", "average of numbers in a list")),
        Known("smallest minimum find_min min_of_list", ("return the smallest number of a list",
            "find the minimum of a list of numbers", "find the smallest element in a list"), (_LIST,), INT, _smallest,
            _FULL, ("minimum of a list", "smallest element of a list", "min of a list")),
        Known("index_of_largest position_of_max index_of_max", ("return the index of the largest number in a list",
            "find the position of the maximum of a list"), (_LIST,), INT, lambda v: _place_of_extreme(v, True), _FULL,
            ("index of the maximum",)),
        Known("index_of_smallest position_of_min index_of_min", ("return the index of the smallest number in a list",
            "find the position of the minimum of a list"), (_LIST,), INT, lambda v: _place_of_extreme(v, False),
            _FULL, ("index of the minimum",)),
        Known("count_occurrences count_value occurrences", ("count how often a value occurs in a list",
            "count the occurrences of a number in a list"), (_LIST, _VALUE), INT, lambda v, x: [fold("count",
            var("item"), v, None, var("item").eq(x))], _WITH, ("count occurrences in a list",)),
        Known("contains_value contains is_in_list", ("check whether a list contains a value",
            "check if a number is in a list", "return whether a value occurs in a list"), (_LIST, _VALUE), BOOL,
            _contains, _WITH, ("list contains value", "check if an element is in a list")),
        Known("index_of find_index linear_search", ("return the index of a value in a list, -1 if it is not there",
            "find the position of a value in a list, or -1"), (_LIST, _VALUE), INT, _index_of, _WITH,
            ("linear search", "index of an element in a list", "find an element in a list")),
        Known("reverse_list reversed_list reverse", ("reverse a list", "return a list in reverse order",
            "return a reversed copy of a list"), (_LIST,), INTS, lambda v: [backwards(v)], _LISTS, ("reverse a list",
            "reverse an array")),
        Known("sort_ascending sort_numbers sorted_list", ("sort a list of numbers in ascending order",
            "sort a list from smallest to largest", "return a sorted copy of a list"), (_LIST,), INTS,
            lambda v: [ordered(v)], _LISTS, ("sort a list", "sort numbers", "sort an array")),
        Known("sort_descending sorted_descending", ("sort a list of numbers in descending order",
            "sort a list from largest to smallest"), (_LIST,), INTS, lambda v: [ordered(v, var("item"), (var("item"),
            True))], _LISTS, ("sort a list in descending order", "sort in reverse order")),
        Known("remove_repeated distinct_values without_repetitions",
            ("remove the duplicates of a list, keeping the order", "remove duplicates from a list",
            "return the distinct values of a list in their order"), (_LIST,), INTS, _distinct, _LISTS,
            ("remove duplicates", "remove duplicates from a list", "remove duplicate elements from an array")),
        Known("remove_value without_value remove_all", ("remove all occurrences of a value from a list",
            "return a list without a given value"), (_LIST, _VALUE), INTS, lambda v, x: [collect(var("item"), v,
            var("item"), var("item").ne(x))], _WITH, ("remove an element from a list",)),
        Known("replace_value replace_all", ("replace a value in a list by another one",
            "replace all occurrences of a number in a list"), (_LIST, ("old before", INT), ("new_value after", INT)),
            INTS, _replaced, ([[3, 1, 4, 1], 1, 0], [[2, 8], 8, 2], [[], 1, 2], [[5], 1, 2]),
            ("replace an element in a list",)),
        Known("concatenate concatenate_lists join_lists", ("join two lists into one", "concatenate two lists"),
            (("first a left", INTS), ("second b right", INTS)), INTS, _joined, ([[1, 2], [3]], [[], [4, 5]], [[6],
            []], [[7, 8], [7, 8]]), ("concatenate two lists", "combine two lists")),
        Known("swap_ends swap_first_and_last", ("swap the first and the last element of a list",
            "exchange the first and last elements of a list"), (_LIST,), INTS, _swapped_ends, _LISTS,
            ("swap first and last",)),
        Known("dot_product scalar_product", ("return the dot product of two lists of numbers",
            "compute the dot product of two vectors"), (("a first left", INTS), ("b second right", INTS)), INT, _dot,
            ([[1, 2, 3], [4, 5, 6]], [[], []], [[2], [-3]], [[0, 1], [5, 7]]), ("dot product",)),
        Known("count_frequencies frequencies count_values", ("count how often each number occurs in a list",
            "return a map from each number of a list to how often it occurs"), (_LIST,), map_of(INT, INT),
            lambda v: [tallied(v, _each(v))], _LISTS, ("frequency of elements in a list",)),
        Known("first_element head first_of", ("return the first element of a list", "get the first number of a list"),
            (_LIST,), INT, lambda v: [v[0]], _FULL, ("first element of a list",)),
        Known("last_element last_of tail_element", ("return the last element of a list",
            "get the last number of a list"), (_LIST,), INT, lambda v: [op("last", v)], _FULL,
            ("last element of a list",)),
        Known("first_elements take take_first", ("return the first elements of a list, so many as asked for",
            "take the first n elements of a list"), (_LIST, ("n count", INT)), INTS, _first, ([[3, 1, 4], 2], [[2, 8],
            5], [[7], 0], [[], 1]), ("first n elements of a list",)),
        Known("last_elements take_last", ("return the last elements of a list, so many as asked for",
            "take the last n elements of a list"), (_LIST, ("n count", INT)), INTS, _last, ([[3, 1, 4], 2], [[2, 8],
            5], [[7], 0], [[], 1]), ("last n elements of a list",)),
        Known("flatten flatten_lists flattened", ("flatten a list of lists", "flatten a list of lists into one list"),
            (("rows lists grid", GRID),), INTS, _flattened, ([[1, 2], [3]], [[], [4]], [[5, 6, 7]], []),
            ("flatten a list", "flatten nested lists")),
    ),
)  # fmt: skip

everyday(
    "everyday_filters",
    1,
    (
        Known("even_values keep_even filter_even", ("return the even numbers of a list",
            "keep only the even numbers of a list", "filter the even numbers from a list"), (_LIST,), INTS,
            lambda v: [collect(_each(v), v, _each(v), divides(_each(v), 2))], _LISTS, ("even numbers in a list",
            "filter even numbers")),
        Known("odd_values keep_odd filter_odd", ("return the odd numbers of a list",
            "keep only the odd numbers of a list", "filter the odd numbers from a list"), (_LIST,), INTS,
            lambda v: [collect(_each(v), v, _each(v), ~divides(_each(v), 2))], _LISTS, ("odd numbers in a list",
            "filter odd numbers")),
        Known("sum_even_numbers sum_of_even sum_evens", ("return the sum of the even numbers in a list",
            "add up the even numbers of a list"), (_LIST,), INT, lambda v: [fold("sum", _each(v), v, None,
            divides(_each(v), 2))], _LISTS, ("sum of even numbers", "sum of even numbers in a list")),
        Known("sum_odd_numbers sum_of_odd sum_odds", ("return the sum of the odd numbers in a list",
            "add up the odd numbers of a list"), (_LIST,), INT, lambda v: [fold("sum", _each(v), v, None,
            ~divides(_each(v), 2))], _LISTS, ("sum of odd numbers", "sum of odd numbers in a list")),
        Known("count_even count_evens number_of_evens", ("count the even numbers in a list",
            "return how many numbers of a list are even"), (_LIST,), INT, lambda v: [fold("count", _each(v), v, None,
            divides(_each(v), 2))], _LISTS, ("count even numbers",)),
        Known("count_negative count_negatives", ("count the negative numbers in a list",
            "return how many numbers of a list are negative"), (_LIST,), INT, lambda v: [fold("count", _each(v), v,
            None, _each(v) < 0)], (*_LISTS, [-1, -2]), ("count negative numbers",)),
        Known("without_negatives remove_negatives", ("remove the negative numbers of a list",
            "return a list without its negative numbers"), (_LIST,), INTS, lambda v: [collect(_each(v), v, _each(v),
            _each(v) >= 0)], _LISTS, ("remove negative numbers",)),
        Known("squares square_all squared_list", ("return the squares of the numbers in a list",
            "square every number of a list", "square each element of a list"), (_LIST,), INTS,
            lambda v: [collect(_each(v), v, _each(v) * _each(v))], _LISTS, ("squares of a list",
            "square all elements of a list")),
        Known("doubled double_all double_list", ("double every number of a list",
            "return a list with every number doubled"), (_LIST,), INTS, lambda v: [collect(_each(v), v,
            _each(v) * 2)], _LISTS, ("double each element of a list",)),
        Known("add_to_all increase_all add_to_each", ("add a number to every element of a list",
            "increase every number of a list by an amount"), (_LIST, ("amount k n", INT)), INTS, lambda v,
            k: [collect(_each(v), v, _each(v) + k)], ([[3, 1, 4], 2], [[2, 8], -5], [[], 1]),
            ("add a number to each element",)),
        Known("greater_than numbers_above filter_above",
            ("return the numbers of a list that are greater than a limit",
            "keep the numbers of a list above a threshold"), (_LIST, ("limit threshold bound", INT)), INTS, lambda v,
            k: [collect(_each(v), v, _each(v), _each(v) > k)], ([[3, 1, 4], 2], [[2, 8], 8], [[], 1]),
            ("numbers greater than a limit",)),
        Known("count_above count_greater_than", ("count the numbers of a list that are greater than a limit",
            "return how many numbers of a list are above a threshold"), (_LIST, ("limit threshold bound", INT)), INT,
            lambda v, k: [fold("count", _each(v), v, None, _each(v) > k)], ([[3, 1, 4], 2], [[2, 8], 8], [[], 1],
            [[9], 1]), ("count numbers greater than a limit",)),
        Known("all_positive are_all_positive", ("check whether all numbers of a list are positive",
            "check if every number in a list is greater than zero"), (_LIST,), BOOL, lambda v: [fold("all", _each(v),
            v, _each(v) > 0)], ([1, 2], [0, 1], [-1], [5], [3, -3]), ("all positive",)),
        Known("any_negative has_negative", ("check whether a list has a negative number",
            "check if any number in a list is negative"), (_LIST,), BOOL, lambda v: [fold("any", _each(v), v,
            _each(v) < 0)], ([1, 2], [0, 1], [-1], [5, -5], [3, -3]), ("any negative",)),
        Known("all_even are_all_even", ("check whether all numbers of a list are even",
            "check if every number in a list is even"), (_LIST,), BOOL, lambda v: [fold("all", _each(v), v,
            divides(_each(v), 2))], ([2, 4], [0, 1], [7], [6], [3, 2]), ("all even",)),
        Known("all_equal all_same are_equal", ("check whether all elements of a list are equal",
            "check if all numbers in a list are the same"), (_LIST,), BOOL, _all_equal, ([2, 2], [0, 1], [7], [6, 6,
            6], [3, 2, 3], []), ("all elements equal",)),
        Known("list_is_empty has_no_elements", ("check whether a list is empty", "check if a list has no elements"),
            (_LIST,), BOOL, lambda v: [empty(v)], ([2, 2], [], [7]), ("is empty",)),
        Known("list_length length_of number_of_elements", ("return the length of a list",
            "count the elements of a list"), (_LIST,), INT, lambda v: [length(v)], _LISTS, ("length of a list",)),
    ),
)  # fmt: skip

everyday(
    "everyday_words",
    1,
    (
        Known("word_lengths lengths_of lengths", ("return the lengths of the words in a list",
            "list the length of every string in a list"), (_WORDS,), INTS, lambda v: [collect(_S, v, length(_S))],
            _STRINGS, ("lengths of strings in a list",)),
        Known("join_with_commas comma_separated", ("join the words of a list with commas",
            "join a list of strings with a comma between them"), (_WORDS,), STR, lambda v: [op("join", v, ",")],
            _STRINGS, ("join strings with commas", "join a list of strings")),
        Known("sort_words sort_alphabetically sorted_words", ("sort a list of words alphabetically",
            "sort a list of strings in alphabetical order"), (_WORDS,), STRS, lambda v: [ordered(v)], _STRINGS,
            ("sort words", "sort strings alphabetically")),
        Known("sort_by_length sorted_by_length", ("sort a list of words by their length",
            "sort a list of strings from shortest to longest"), (_WORDS,), STRS, lambda v: [ordered(v, _S,
            (length(_S), False))], _STRINGS, ("sort strings by length",)),
        Known("number_lines numbered_lines with_numbers", ("number the lines of a list like \"1. first\"",
            "put the position and a dot before every string of a list"), (("lines items", STRS),), STRS,
            _with_numbers, _STRINGS, ("number lines",)),
        Known("uppercase_all upper_words all_uppercase", ("return the words of a list in uppercase",
            "convert every string of a list to uppercase"), (_WORDS,), STRS, lambda v: [collect(_S, v, op("upper",
            _S))], _STRINGS, ("uppercase all strings in a list",)),
        Known("total_length total_characters", ("return the total length of the words in a list",
            "count the characters of all strings in a list"), (_WORDS,), INT, lambda v: [fold("sum", _S, v,
            length(_S))], _STRINGS, ("total length of strings",)),
        Known("count_word count_matches", ("count how often a word occurs in a list of words",
            "count the occurrences of a string in a list"), (_WORDS, ("target wanted", STR)), INT, lambda v,
            w: [fold("count", _S, v, None, _S.eq(w))], ([["a", "b", "a"], "a"], [["x"], "y"], [[], "z"], [["q"],
            "q"]), ("count a word in a list",)),
        Known("strings_to_numbers parse_all to_numbers", ("convert a list of strings to numbers",
            "parse every string of a list as a whole number"), (_WORDS,), INTS, lambda v: [collect(_S, v,
            op("parse_int", _S))], (["1", "22"], ["-5"], [], ["7", "8", "9"]), ("convert strings to integers",)),
        Known("numbers_to_strings to_strings", ("convert a list of numbers to strings",
            "write every number of a list as text"), (_LIST,), STRS, lambda v: [collect(_each(v), v, op("to_str",
            _each(v)))], _LISTS, ("convert integers to strings",)),
    ),
)  # fmt: skip
