"""Lists of rows."""

from __future__ import annotations

import random

from codegeex.exercises.build import add, block, empty_list, fold, length, let, loop, push, put, ret, span, var, when
from codegeex.exercises.exercise import Draft
from codegeex.exercises.families.pieces import Args, args, ints, number_test
from codegeex.exercises.families.registry import family
from codegeex.exercises.ir import Expr, Function, op
from codegeex.exercises.types import GRID, INT, INTS, Value

_GRIDS = ("grid", "matrix", "table", "board")


def grid_lists(rng: random.Random, *, square: bool = False, low: int = -9, high: int = 20) -> list[Value]:
    made: list[Value] = []
    for _ in range(6):
        height = rng.randint(1, 4)
        width = height if square else rng.randint(1, 4)
        made.append([ints(rng, width, low, high) for _ in range(height)])
    return [*made, [[rng.randint(low, high)]], [[1, 2], [3, 4]]]


@family("fold_grid", 2)
def fold_grid(rng: random.Random) -> Draft:
    grid, row, x, total = var(rng.choice(_GRIDS), GRID), var("row", INTS), var("value"), var("total")
    test, count = number_test(rng), rng.random() < 0.5
    step = add(total, 1) if count else add(total, x)
    body = block(let(total, 0), loop(row, grid, [loop(x, row, [when(test.build(x), [step])])]), ret(total))
    verb = "count" if count else "add up"
    return Draft(
        Function(f"{'count' if count else 'sum'}_{test.word}_in_{grid.name}", (grid,), INT, body),
        f"{verb} the {test.of('numbers')} in a {grid.name}, given as a list of rows",
        args(grid_lists(rng)),
    )


@family("row_values", 2)
def row_values(rng: random.Random) -> Draft:
    grid, row, x, result, value = (
        var(rng.choice(_GRIDS), GRID),
        var("row", INTS),
        var("value"),
        var("result", INTS),
        var("number"),
    )
    test = number_test(rng)
    kind = rng.choice(("sum", "count", "max", "min"))
    made = fold(kind, x, row, None, test.build(x)) if kind in ("sum", "count") else fold(kind, x, row)
    what = {
        "sum": f"the sum of the {test.of('numbers')}", "count": f"the number of {test.of('numbers')}",
        "max": "the largest number", "min": "the smallest number",
    }[kind]  # fmt: skip
    k = rng.randint(1, 4)
    last: Expr = value * k if k > 1 else value
    body = block(let(result, empty_list(INT)), loop(row, grid, [let(value, made), push(result, last)]), ret(result))
    times = f"{k} times " if k > 1 else ""
    name = f"row_{kind}_{test.word}" if kind in ("sum", "count") else f"row_{kind}"
    return Draft(
        Function(name, (grid,), INTS, body),
        f"return, for each row of a {grid.name}, {times}{what} in it",
        args(grid_lists(rng)),
    )


@family("column_values", 3)
def column_values(rng: random.Random) -> Draft:
    grid, result, i, j, total = var(rng.choice(_GRIDS), GRID), var("result", INTS), var("i"), var("j"), var("total")
    test = number_test(rng)
    kind = rng.choice(("sum", "count"))
    step = add(total, grid[i][j] if kind == "sum" else 1)
    body = block(
        let(result, empty_list(INT)),
        loop(j, span(0, length(grid[0])), [
            let(total, 0),
            loop(i, span(0, length(grid)), [when(test.build(grid[i][j]), [step])]),
            push(result, total),
        ]),
        ret(result),
    )  # fmt: skip
    what = "sum of" if kind == "sum" else "number of"
    return Draft(
        Function(f"column_{kind}_{test.word}", (grid,), INTS, body),
        f"return, for each column of a {grid.name} with at least one row, the {what} the {test.of('numbers')} in it",
        args(grid_lists(rng)),
    )


@family("diagonal", 2, held_out=True)
def diagonal(rng: random.Random) -> Draft:
    grid, i, total = var(rng.choice(_GRIDS), GRID), var("i"), var("total")
    test, anti = number_test(rng), rng.random() < 0.5
    cell = grid[i][length(grid) - 1 - i] if anti else grid[i][i]
    body = block(
        let(total, 0), loop(i, span(0, length(grid)), [when(test.build(cell), [add(total, cell)])]), ret(total)
    )
    where = "from the upper right to the lower left" if anti else "from the upper left to the lower right"
    return Draft(
        Function(f"{'second' if anti else 'main'}_diagonal_{test.word}", (grid,), INT, body),
        f"add up the {test.of('numbers')} on the diagonal of a square {grid.name} {where}",
        args(grid_lists(rng, square=True)),
    )


@family("turn_grid", 3, held_out=True)
def turn_grid(rng: random.Random) -> Draft:
    grid, i, j, result, row = var(rng.choice(_GRIDS), GRID), var("i"), var("j"), var("result", GRID), var("row", INTS)
    height, width = length(grid), length(grid[0])
    words, name, outer, inner, cell = rng.choice((
        ("swap the rows and the columns of", "transpose", span(0, width), span(0, height), grid[j][i]),
        ("mirror, left to right,", "mirror", span(0, height), span(0, width), grid[i][width - 1 - j]),
        ("turn upside down", "flip", span(0, height), span(0, width), grid[height - 1 - i][j]),
        ("turn by 90 degrees clockwise", "turn_right", span(0, width), span(0, height), grid[height - 1 - j][i]),
        ("turn by 90 degrees anticlockwise", "turn_left", span(0, width), span(0, height), grid[j][width - 1 - i]),
    ))  # fmt: skip
    k = rng.randint(1, 3)
    value = cell * k if k > 1 else cell
    body = block(
        let(result, empty_list(INTS)),
        loop(i, outer, [let(row, empty_list(INT)), loop(j, inner, [push(row, value)]), push(result, row)]),
        ret(result),
    )
    more = f" and multiply its numbers by {k}" if k > 1 else ""
    return Draft(
        Function(f"{name}_{grid.name}", (grid,), GRID, body),
        f"{words} a {grid.name} with at least one row{more}",
        args(grid_lists(rng)),
    )


@family("make_grid", 2)
def make_grid(rng: random.Random) -> Draft:
    rows, columns, i, j, grid = var("rows"), var("columns"), var("i"), var("j"), var("grid", GRID)
    k, m = rng.randint(2, 5), rng.randint(1, 9)
    words, value = rng.choice((
        (f"its row times {k} plus its column", i * k + j), ("the product of its row and column", i * j),
        (f"the sum of its row and column, modulo {k}", (i + j) % k), (f"its row plus {m} times its column", i + j * m),
        ("the distance of its row and column", op("abs", i - j)),
    ))  # fmt: skip
    body = block(
        let(grid, op("filled", op("filled", 0, columns), rows)),
        loop(i, span(0, rows), [loop(j, span(0, columns), [put(grid[i], j, value)])]),
        ret(grid),
    )
    task = f"make a grid with the given numbers of rows and columns whose cells each hold {words}, both counted from 0"
    inputs: Args = [[2, 3], [3, 2], [1, 1], [0, 2], [4, 4], [rng.randint(1, 4), rng.randint(1, 4)], [1, 5]]
    return Draft(Function("make_grid", (rows, columns), GRID, body), task, inputs)


@family("neighbour_sum", 3, held_out=True)
def neighbour_sum(rng: random.Random) -> Draft:
    grid, r, c, total = var(rng.choice(_GRIDS), GRID), var("row"), var("column"), var("total")
    k = rng.randint(1, 3)
    near = [
        when(r > 0, [add(total, grid[r - 1][c])]),
        when(r + 1 < length(grid), [add(total, grid[r + 1][c])]),
        when(c > 0, [add(total, grid[r][c - 1])]),
        when(c + 1 < length(grid[r]), [add(total, grid[r][c + 1])]),
    ]
    own = rng.random() < 0.5
    cell = grid[r][c]
    start: Expr | int = 0 if not own else cell * k if k > 1 else cell
    body = block(let(total, start), *near, ret(total))
    plus = f", plus {f'{k} times ' if k > 1 else ''}the cell itself" if own else ""
    inputs: Args = []
    for one in grid_lists(rng):
        assert isinstance(one, list)
        first = one[0]
        assert isinstance(first, list)
        inputs.append([one, rng.randrange(len(one)), rng.randrange(len(first))])
    return Draft(
        Function("sum_of_neighbours" if not own else f"weighted_neighbours_{k}", (grid, r, c), INT, body),
        f"add up the cells above, below, left and right of a cell of a {grid.name}{plus}",
        inputs,
    )
