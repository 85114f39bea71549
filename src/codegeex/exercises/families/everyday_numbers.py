"""Everyday programs with numbers."""

from __future__ import annotations

from codegeex.exercises.build import (
    Body,
    add,
    assign,
    block,
    call,
    cases,
    change,
    collect,
    divides,
    during,
    empty_list,
    fold,
    larger,
    let,
    loop,
    push,
    ret,
    smaller,
    span,
    text,
    var,
    when,
)
from codegeex.exercises.families.everyday import Known, everyday
from codegeex.exercises.ir import Block, Expr, Name, Statement, op
from codegeex.exercises.types import BOOL, FLOAT, INT, INTS, STR, STRS

_N = ("n number num", INT)
_A, _B = ("a first x", INT), ("b second y", INT)
_PAIRS = ([3, 8], [9, 2], [5, 5], [-4, 6], [0, -7], [12, 30])
_SIZES = ([2.0, 3.0], [1.5, 4.0], [10.0, 0.5], [7.0, 7.0])
_REALS = (0.0, 1.0, 2.5, 10.0, 37.5, 100.0)


def _factorial(n: Name) -> list[Block]:
    i, result = var("i"), var("result")
    return [
        block(let(result, 1), loop(i, span(2, n + 1), [change(result, "mul", i)]), ret(result)),
        block(let(result, 1), loop(i, span(1, n + 1), [change(result, "mul", i)]), ret(result)),
    ]


def _recursive_factorial(n: Name) -> list[Block]:
    return [block(when(n <= 1, [ret(1)]), ret(n * call("factorial", INT, n - 1)))]


def _power(base: Name, exponent: Name) -> list[Block]:
    i, result = var("i"), var("result")
    return [block(let(result, 1), loop(i, span(0, exponent), [change(result, "mul", base)]), ret(result))]


def _digits(n: Name) -> list[Block]:
    rest, total = var("rest"), var("total")
    step = [add(total, rest % 10), change(rest, "div", 10)]
    return [block(let(rest, n), let(total, 0), during(rest > 0, step), ret(total))]


def _digit_count(n: Name) -> list[Block]:
    rest, count = var("rest"), var("count")
    step = [change(rest, "div", 10), add(count, 1)]
    return [block(let(rest, n), let(count, 1), during(rest >= 10, step), ret(count))]


def _reversed_number(n: Name) -> list[Block]:
    rest, result = var("rest"), var("result")
    step = [assign(result, result * 10 + rest % 10), change(rest, "div", 10)]
    return [block(let(rest, n), let(result, 0), during(rest > 0, step), ret(result))]


def _chosen(first: Name, second: Name, bigger: bool) -> list[Expr | Block]:
    best = larger(first, second) if bigger else smaller(first, second)
    return [best, block(when(first > second if bigger else first < second, [ret(first)]), ret(second))]


def _three(a: Name, b: Name, c: Name, bigger: bool) -> list[Block]:
    best = var("best")
    tests = [when(one > best if bigger else one < best, [assign(best, one)]) for one in (b, c)]
    return [block(let(best, a), *tests, ret(best))]


def _multiple(a: Name, b: Name) -> list[Block]:
    multiple = var("multiple")
    return [block(let(multiple, a), during(~divides(multiple, b), [add(multiple, a)]), ret(multiple))]


def _fizz(i: Expr, fizz: Body, buzz: Body, both: Body, other: Body) -> Statement:
    return cases((divides(i, 15), both), (divides(i, 3), fizz), (divides(i, 5), buzz), otherwise=other)


def _fizz_word(n: Name) -> list[Block]:
    return [block(_fizz(n, [ret("Fizz")], [ret("Buzz")], [ret("FizzBuzz")], [ret(op("to_str", n))]))]


def _fizz_list(n: Name) -> list[Block]:
    i, result = var("i"), var("result", STRS)
    step = _fizz(
        i, [push(result, "Fizz")], [push(result, "Buzz")], [push(result, "FizzBuzz")], [push(result, op("to_str", i))]
    )
    return [block(let(result, empty_list(STR)), loop(i, span(1, n + 1), [step]), ret(result))]


def _perfect_square(n: Name) -> list[Block]:
    root = var("root")
    return [block(let(root, 0), during(root * root < n, [add(root, 1)]), ret((root * root).eq(n)))]


def _perfect_number(n: Name) -> list[Block]:
    total, i = var("total"), var("i")
    return [
        block(let(total, 0), loop(i, span(1, n), [when(divides(n, i), [add(total, i)])]), ret(total.eq(n))),
        block(let(total, fold("sum", i, span(1, n), None, divides(n, i))), ret(total.eq(n))),
    ]


def _clamp(value: Name, low: Name, high: Name) -> list[Block]:
    return [block(when(value < low, [ret(low)]), when(value > high, [ret(high)]), ret(value))]


def _powers(n: Name) -> Block:
    i, power, result = var("i"), var("power"), var("result", INTS)
    step = [push(result, power), change(power, "mul", 2)]
    return block(let(power, 1), let(result, empty_list(INT)), loop(i, span(0, n), step), ret(result))


def _digit_list(n: Name) -> Block:
    rest, digits = var("rest"), var("digits", INTS)
    step = [push(digits, rest % 10), change(rest, "div", 10)]
    return block(let(rest, n), let(digits, empty_list(INT)), during(rest > 0, step), ret(digits))


_I = var("i")

everyday(
    "everyday_arithmetic",
    1,
    (
        Known("factorial compute_factorial get_factorial", ("return the factorial of a number",
            "compute the factorial of a number", "calculate the factorial of n",
            "calculate the factorial of a number that is not negative"), (_N,), INT, _factorial, (5, 0, 1, 3, 7, 10),
            ("factorial", "factorial function", "write a factorial function", "factorial of a number",
            "compute factorial"),),
        Known("factorial", ("return the factorial of a number by recursion",
            "compute the factorial of a number recursively"), (("n", INT),), INT, _recursive_factorial, (5, 0, 1, 3,
            7, 10), ("recursive factorial", "write a recursive factorial function"),),
        Known("power raise_to_power to_power", ("raise a number to a power", "return a base raised to an exponent",
            "compute the power of a number"), (("base b", INT), ("exponent power e", INT)), INT, _power, ([2, 3], [5,
            0], [3, 4], [-2, 3], [7, 1]), ("power function", "compute base to the power of exponent"),),
        Known("sum_of_digits digit_sum sum_digits", ("return the sum of the digits of a number",
            "add up the digits of a number", "compute the sum of the digits of a number"), (_N,), INT, _digits, (123,
            0, 9, 405, 99999, 10), ("sum of digits", "digit sum", "sum of digits of a number"),),
        Known("number_of_digits digit_count digits_in_number", ("count the digits of a number",
            "return how many digits a number has", "return the number of digits of a number"), (_N,), INT,
            _digit_count, (123, 0, 9, 10, 99999, 7000), ("number of digits", "count digits in a number"),),
        Known("reverse_number reverse_digits reversed_number", ("reverse the digits of a number",
            "return a number with its digits in reverse order", "reverse a number"), (_N,), INT, _reversed_number,
            (123, 0, 9, 120, 98765, 44), ("reverse number", "reverse an integer"),),
        Known("least_common_multiple lcm lowest_common_multiple", ("return the least common multiple of two numbers",
            "compute the least common multiple of two positive numbers",
            "find the smallest number that two numbers divide"), (_A, _B), INT, _multiple, ([4, 6], [3, 5], [7, 7],
            [1, 9], [12, 18]), ("lcm of two numbers", "least common multiple"),),
        Known("fizz_buzz_word fizz_buzz_of fizzbuzz",
            ("return Fizz for a number divisible by 3, Buzz for one divisible by 5, FizzBuzz for both, "
            "and otherwise the number",),
            (_N,), STR, _fizz_word, (3, 5, 15, 7, 1, 30, 9, 10), ("fizz buzz", "fizzbuzz of a number"),),
        Known("fizz_buzz_list fizzbuzz_up_to",
            ("list the FizzBuzz words from 1 to n: Fizz for multiples of 3, Buzz for those of 5, FizzBuzz for both",),
            (("n limit", INT),), STRS, _fizz_list, (5, 0, 15, 3, 1), ("fizz buzz list", "write fizzbuzz",
            "solve fizz buzz from 1 to n"),),
        Known("is_perfect_square perfect_square is_square_number", ("check whether a number is a perfect square",
            "check if a number is a perfect square", "return whether a number is the square of a whole number"),
            (_N,), BOOL, _perfect_square, (16, 15, 0, 1, 2, 49, 50, 100), ("perfect square check",
            "is perfect square"),),
        Known("is_perfect_number perfect_number is_perfect",
            ("check whether a number is perfect: equal to the sum of its proper divisors",
            "check if a number is a perfect number"), (_N,), BOOL, _perfect_number, (6, 28, 10, 1, 12, 496),
            ("perfect number check",),),
        Known("sum_of_squares sum_squares_up_to", ("return the sum of the squares of the numbers from 1 to n",
            "add up the squares from 1 to a number"), (("n limit", INT),), INT, lambda n: [fold("sum", _I, span(1,
            n + 1), _I * _I)], (3, 0, 1, 5, 10), ("sum of squares from 1 to n",),),
        Known("sum_of_range sum_between sum_from_to", ("add up the whole numbers between two numbers, both included",
            "return the sum of the numbers from start to end"), (("start first low", INT), ("end last high", INT)),
            INT, lambda a, b: [fold("sum", _I, span(a, b + 1))], ([1, 4], [3, 3], [-2, 2], [5, 9], [0, 10]),
            ("sum of numbers in a range",),),
    ),
)  # fmt: skip

everyday(
    "everyday_choices",
    1,
    (
        Known("is_even check_even even", ("check whether a number is even", "check if a number is even",
            "return whether a number is even", "return true if a number is even"), (_N,), BOOL, lambda n: [divides(n,
            2)], (4, 7, 0, 1, -2, -3), ("is even", "even number check")),
        Known("is_odd check_odd odd", ("check whether a number is odd", "check if a number is odd",
            "return whether a number is odd"), (_N,), BOOL, lambda n: [~divides(n, 2)], (4, 7, 0, 1, -2, -3),
            ("is odd", "odd number check")),
        Known("is_positive check_positive", ("check whether a number is positive",
            "check if a number is greater than zero"), (_N,), BOOL, lambda n: [n > 0], (4, -7, 0, 1, -1, 20),
            ("is positive",)),
        Known("is_negative check_negative", ("check whether a number is negative",
            "check if a number is less than zero"), (_N,), BOOL, lambda n: [n < 0], (4, -7, 0, 1, -1, -20),
            ("is negative",)),
        Known("is_divisible is_divisible_by divisible", ("check whether a number is divisible by another",
            "check if the first number is divisible by the second"), (_A, _B), BOOL, lambda a, b: [divides(a, b)],
            ([6, 3], [7, 2], [0, 5], [9, 4], [12, 6]), ("divisible check",)),
        Known("is_between in_range is_in_range", ("check whether a number lies between two others, both included",
            "check if a value is within a range"), (("value number x", INT), ("low lower minimum", INT),
            ("high upper maximum", INT)), BOOL, lambda x, a, b: [(x >= a) & (x <= b)], ([5, 1, 10], [0, 1, 10], [10,
            1, 10], [11, 1, 10], [1, 1, 1]), ("is between", "number in range check")),
        Known("clamp clamp_value limit_value", ("limit a number to a range",
            "clamp a number between a minimum and a maximum", "clamp a value to a range"), (("value number x", INT),
            ("low lower minimum", INT), ("high upper maximum", INT)), INT, _clamp, ([5, 1, 10], [0, 1, 10], [12, 1,
            10], [-3, -2, 2], [10, 1, 10]), ("clamp function",)),
        Known("larger_of max_of_two maximum_of_two", ("return the larger of two numbers",
            "find the maximum of two numbers", "return the bigger of two numbers"), (_A, _B), INT, lambda a,
            b: _chosen(a, b, True), _PAIRS, ("max of two numbers", "maximum of two numbers")),
        Known("smaller_of min_of_two minimum_of_two", ("return the smaller of two numbers",
            "find the minimum of two numbers"), (_A, _B), INT, lambda a, b: _chosen(a, b, False), _PAIRS,
            ("min of two numbers", "minimum of two numbers")),
        Known("largest_of_three max_of_three maximum_of_three", ("return the largest of three numbers",
            "find the maximum of three numbers"), (_A, _B, ("c third z", INT)), INT, lambda a, b, c: _three(a, b, c,
            True), ([1, 2, 3], [9, 4, 2], [3, 8, 5], [-1, -2, -3], [4, 4, 4]), ("max of three numbers",)),
        Known("smallest_of_three min_of_three minimum_of_three", ("return the smallest of three numbers",
            "find the minimum of three numbers"), (_A, _B, ("c third z", INT)), INT, lambda a, b, c: _three(a, b, c,
            False), ([1, 2, 3], [9, 4, 2], [3, 8, 5], [-1, -2, -3], [4, 4, 4]), ("min of three numbers",)),
        Known("square square_of squared", ("return the square of a number", "square a number",
            "compute the square of a number"), (_N,), INT, lambda n: [n * n], (3, 0, -4, 10, 1), ("square function",
            "square of a number")),
        Known("cube cube_of cubed", ("return the cube of a number", "cube a number", "compute the cube of a number"),
            (_N,), INT, lambda n: [n * n * n], (3, 0, -4, 10, 1), ("cube function", "cube of a number")),
        Known("double_of twice doubled_number", ("double a number", "return twice a number",
            "multiply a number by two"), (_N,), INT, lambda n: [n * 2], (3, 0, -4, 10, 1), ("double function",)),
        Known("multiply product product_of", ("multiply two numbers", "return the product of two numbers"), (_A, _B),
            INT, lambda a, b: [a * b], _PAIRS, ("multiply function", "product of two numbers")),
        Known("subtract difference subtract_numbers", ("subtract the second number from the first",
            "return the difference of two numbers", "subtract two numbers"), (_A, _B), INT, lambda a, b: [a - b],
            _PAIRS, ("subtract function",)),
        Known("absolute_difference distance_between gap", ("return the absolute difference of two numbers",
            "compute the distance between two numbers"), (_A, _B), INT, lambda a, b: [op("abs", a - b)], _PAIRS,
            ("absolute difference",)),
        Known("absolute_value absolute magnitude", ("return the absolute value of a number",
            "compute the absolute value of a number"), (_N,), INT, lambda n: [op("abs", n), block(when(n < 0,
            [ret(-n)]), ret(n))], (3, 0, -4, 10, -1), ("absolute value", "absolute value of a number")),
    ),
)  # fmt: skip

everyday(
    "everyday_conversions",
    1,
    (
        Known("celsius_to_fahrenheit to_fahrenheit", ("convert a temperature from Celsius to Fahrenheit",
            "convert degrees Celsius to degrees Fahrenheit", "convert celsius to fahrenheit"), (("celsius degrees c",
            FLOAT),), FLOAT, lambda c: [c * 9.0 / 5.0 + 32.0, c * 1.8 + 32.0], _REALS, ("celsius to fahrenheit",)),
        Known("fahrenheit_to_celsius to_celsius", ("convert a temperature from Fahrenheit to Celsius",
            "convert degrees Fahrenheit to degrees Celsius", "convert fahrenheit to celsius"),
            (("fahrenheit degrees f", FLOAT),), FLOAT, lambda f: [(f - 32.0) * 5.0 / 9.0], (32.0, 212.0, 50.0, 0.0),
            ("fahrenheit to celsius",)),
        Known("kilometers_to_miles km_to_miles to_miles", ("convert kilometers to miles",
            "convert a distance from kilometers to miles"), (("kilometers km distance", FLOAT),), FLOAT,
            lambda k: [k * 0.621371], _REALS, ("km to miles", "kilometers to miles")),
        Known("miles_to_kilometers miles_to_km to_kilometers", ("convert miles to kilometers",
            "convert a distance from miles to kilometers"), (("miles distance", FLOAT),), FLOAT,
            lambda m: [m * 1.60934], _REALS, ("miles to km", "miles to kilometers")),
        Known("hours_to_seconds seconds_in_hours", ("convert hours to seconds",
            "return how many seconds a number of hours has"), (("hours h", INT),), INT, lambda h: [h * 3600], (1, 0,
            2, 24), ("hours to seconds",)),
        Known("minutes_to_seconds seconds_in_minutes", ("convert minutes to seconds",
            "return how many seconds a number of minutes has"), (("minutes m", INT),), INT, lambda m: [m * 60], (1, 0,
            2, 90), ("minutes to seconds",)),
        Known("days_to_hours hours_in_days", ("convert days to hours", "return how many hours a number of days has"),
            (("days d", INT),), INT, lambda d: [d * 24], (1, 0, 2, 7), ("days to hours",)),
        Known("average average_of_two mean_of_two", ("return the average of two numbers",
            "compute the mean of two numbers"), (("a first x", FLOAT), ("b second y", FLOAT)), FLOAT, lambda a,
            b: [(a + b) / 2.0], _SIZES, ("average of two numbers",)),
        Known("rectangle_area area_of_rectangle", ("return the area of a rectangle",
            "compute the area of a rectangle from its width and height", "calculate the area of a rectangle"),
            (("width length a", FLOAT), ("height breadth b", FLOAT)), FLOAT, lambda a, b: [a * b], _SIZES,
            ("area of a rectangle", "rectangle area")),
        Known("rectangle_perimeter perimeter_of_rectangle", ("return the perimeter of a rectangle",
            "compute the perimeter of a rectangle from its width and height"), (("width length a", FLOAT),
            ("height breadth b", FLOAT)), FLOAT, lambda a, b: [(a + b) * 2.0], _SIZES, ("perimeter of a rectangle",)),
        Known("circle_area area_of_circle", ("return the area of a circle",
            "compute the area of a circle from its radius", "calculate the area of a circle with a given radius"),
            (("radius r", FLOAT),), FLOAT, lambda r: [r * r * 3.141592653589793], _REALS, ("area of a circle",
            "circle area")),
        Known("circle_circumference circumference", ("return the circumference of a circle",
            "compute the circumference of a circle from its radius"), (("radius r", FLOAT),), FLOAT,
            lambda r: [r * 2.0 * 3.141592653589793], _REALS, ("circumference of a circle",)),
        Known("hypotenuse hypotenuse_of", ("return the hypotenuse of a right triangle",
            "compute the length of the hypotenuse from the two other sides"), (("a first", FLOAT), ("b second",
            FLOAT)), FLOAT, lambda a, b: [op("sqrt", a * a + b * b)], ([3.0, 4.0], [5.0, 12.0], [1.0, 1.0]),
            ("hypotenuse",)),
        Known("distance distance_between_points", ("return the distance between two points",
            "compute the distance between the points (x1, y1) and (x2, y2)"), (("x1", FLOAT), ("y1", FLOAT), ("x2",
            FLOAT), ("y2", FLOAT)), FLOAT, lambda a, b, c, d: [op("sqrt", (c - a) * (c - a) + (d - b) * (d - b))],
            ([0.0, 0.0, 3.0, 4.0], [1.0, 1.0, 1.0, 1.0], [-1.0, 2.0, 4.0, 14.0]), ("distance between two points",)),
        Known("simple_interest interest", ("compute simple interest from principal, rate in percent and years",
            "calculate the simple interest"), (("principal amount", FLOAT), ("rate", FLOAT), ("years time", FLOAT)),
            FLOAT, lambda p, r, t: [p * r * t / 100.0], ([100.0, 5.0, 2.0], [2500.0, 1.5, 4.0], [0.0, 3.0, 1.0]),
            ("simple interest",)),
        Known("body_mass_index bmi", ("compute the body mass index from weight and height",
            "calculate BMI from a weight in kilograms and a height in meters"), (("weight mass", FLOAT), ("height h",
            FLOAT)), FLOAT, lambda w, h: [w / (h * h)], ([70.0, 2.0], [80.0, 1.6], [50.0, 1.25]), ("bmi calculator",
            "body mass index")),
        Known("percentage percent_of", ("return what percentage the first number is of the second",
            "compute what percent a part is of a whole"), (("part value", FLOAT), ("whole total_amount", FLOAT)),
            FLOAT, lambda a, b: [a / b * 100.0], ([1.0, 4.0], [30.0, 60.0], [5.0, 5.0]), ("percentage of a number",)),
        Known("discounted_price price_after_discount apply_discount", ("return a price after a discount in percent",
            "compute the price after taking off a discount of some percent"), (("price amount", FLOAT),
            ("discount percent", FLOAT)), FLOAT, lambda p, d: [p - p * d / 100.0], ([100.0, 20.0], [50.0, 50.0],
            [80.0, 0.0]), ("apply a discount",)),
    ),
)  # fmt: skip

everyday(
    "everyday_sequences",
    1,
    (
        Known("numbers_up_to count_up first_numbers", ("list the numbers from 1 to n",
            "return a list of the numbers from 1 to n"), (("n limit", INT),), INTS, lambda n: [collect(_I, span(1,
            n + 1), _I)], (5, 0, 1, 3), ("numbers from 1 to n", "list of numbers from 1 to n")),
        Known("count_down countdown", ("count down from n to 1", "list the numbers from n down to 1"), (("n start",
            INT),), INTS, lambda n: [collect(_I, span(n, 0, -1), _I)], (5, 0, 1, 3), ("countdown",
            "countdown from n")),
        Known("even_numbers_up_to even_numbers evens", ("list the even numbers up to n",
            "return the even numbers from 2 to n"), (("n limit", INT),), INTS, lambda n: [collect(_I, span(2, n + 1,
            2), _I), collect(_I, span(1, n + 1), _I, divides(_I, 2))], (6, 0, 1, 9), ("even numbers up to n",)),
        Known("odd_numbers_up_to odd_numbers odds", ("list the odd numbers up to n",
            "return the odd numbers from 1 to n"), (("n limit", INT),), INTS, lambda n: [collect(_I, span(1, n + 1,
            2), _I), collect(_I, span(1, n + 1), _I, ~divides(_I, 2))], (6, 0, 1, 9), ("odd numbers up to n",)),
        Known("multiplication_table times_table table_of",
            ("return the multiplication table of a number from 1 to 10", "list the first ten multiples of a number"),
            (_N,), INTS, lambda n: [collect(_I, span(1, 11), n * _I)], (3, 1, 7, 0), ("multiplication table",
            "multiplication table of a number")),
        Known("first_multiples multiples_of", ("list the first multiples of a number",
            "return a list of the first `count` multiples of a number"), (("number n", INT), ("count amount", INT)),
            INTS, lambda n, k: [collect(_I, span(1, k + 1), n * _I)], ([3, 4], [5, 0], [2, 6], [7, 1]),
            ("multiples of a number",)),
        Known("squares_up_to first_squares square_numbers", ("list the squares of the numbers from 1 to n",
            "return the first n square numbers"), (("n count", INT),), INTS, lambda n: [collect(_I, span(1, n + 1),
            _I * _I)], (4, 0, 1, 6), ("first n squares", "square numbers")),
        Known("powers_of_two first_powers", ("list the first n powers of two",
            "return a list of the first n powers of 2"), (("n count", INT),), INTS, lambda n: [_powers(n)], (4, 0, 1,
            8), ("powers of two",)),
        Known("all_divisors divisors_of list_divisors", ("list all divisors of a number",
            "return the divisors of a number in ascending order", "find all factors of a number"), (_N,), INTS,
            lambda n: [collect(_I, span(1, n + 1), _I, divides(n, _I))], (12, 7, 1, 28), ("divisors of a number",
            "find all divisors")),
        Known("number_of_divisors divisor_count", ("count the divisors of a number",
            "return how many divisors a number has"), (_N,), INT, lambda n: [fold("count", _I, span(1, n + 1), None,
            divides(n, _I))], (12, 7, 1, 28), ("number of divisors",)),
        Known("collect_digits digits_of list_of_digits", ("list the digits of a number from the last to the first",
            "return the digits of a number, last one first"), (_N,), INTS, lambda n: [_digit_list(n)], (123, 7, 40,
            98765), ("digits of a number in reverse order",)),
        Known("greeting_number describe_number", ("describe a number as \"even\" or \"odd\"",
            "return \"even\" for an even number and \"odd\" for an odd one"), (_N,), STR,
            lambda n: [block(when(divides(n, 2), [ret("even")]), ret("odd"))], (4, 7, 0, 1), ("even or odd",)),
        Known("number_to_text number_to_string int_to_string", ("convert a number to a string",
            "write a number as text"), (_N,), STR, lambda n: [op("to_str", n)], (4, -7, 0, 123), ("number to string",
            "int to string")),
        Known("format_money price_text", ("write an amount of cents as dollars and cents like 3 dollars 5 cents",
            "describe cents as dollars and cents"), (("cents amount", INT),), STR, lambda c: [text(c // 100,
            " dollars ", c % 100, " cents")], (305, 0, 99, 1000), ("cents to dollars",)),
    ),
)  # fmt: skip
