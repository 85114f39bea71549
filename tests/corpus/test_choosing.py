"""One of all files that are alike, and shares of languages and packages."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from codegeex.corpus import choosing
from codegeex.corpus.choosing import Files, balance
from codegeex.corpus.settings import Settings, load
from codegeex.errors import CodeGeeXError


def files(rows):
    """Rows of language, source, characters, whether a test, whether small."""
    languages = sorted({row[0] for row in rows})
    sources = sorted({row[1] for row in rows})
    return Files(
        ids=np.arange(len(rows)),
        keys=np.arange(len(rows), dtype=np.uint64),
        languages=np.array([languages.index(row[0]) for row in rows], np.int64),
        language_names=languages,
        sources=np.array([sources.index(row[1]) for row in rows], np.int64),
        source_names=sources,
        characters=np.array([row[2] for row in rows], np.int64),
        tests=np.array([row[3] for row in rows], np.bool_),
        places=np.random.default_rng(0).integers(0, 2**63, len(rows)).astype(np.uint64),
        small=np.array([row[4] for row in rows], np.bool_),
    )


def test_balance_keeps_every_package_and_leaves_tests_to_the_end():
    rows = [("python", "large", 1400, index < 10, False) for index in range(20)]
    rows += [("python", "small", 1400, False, False), ("python", "small", 1400, False, True)]
    table = files(rows)
    kept, report = balance(table, np.arange(len(rows)), Settings(characters_per_language=6 * 1400))
    assert [table.source_names[source] for source in table.sources[kept]] == ["large"] * 5 + ["small"]
    first = sorted(range(10, 20), key=lambda file: table.places[file])[:5]
    assert kept[:5].tolist() == sorted(first)
    assert not table.tests[kept].any()
    assert report["kept"] == 6
    assert report["dropped"] == {"too small": 1, "over its share": 15}


@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from("xyz"), st.integers(1, 9), st.booleans(), st.booleans())),
    st.integers(0, 60),
)
def test_packages_are_taken_from_alike(rows, most):
    rows = rows or [("a", "x", 1, False, False)]
    table = files([(language, source, size, test, small) for language, source, size, test, small in rows])
    kept, report = balance(table, np.arange(len(rows)), Settings(characters_per_language=most or 1))
    taken = set(kept.tolist())
    assert report["kept"] == len(kept)
    for number in range(len(table.language_names)):
        members = [index for index in range(len(rows)) if table.languages[index] == number and not table.small[index]]
        sizes = {}
        for index in sorted(members, key=lambda index: (table.tests[index], table.places[index])):
            source = int(table.sources[index])
            sizes[source] = sizes.get(source, 0) + int(table.characters[index])
            members[members.index(index)] = (sizes[source], int(table.places[index]), index)
        total, expected = 0, set()
        for _, _, index in sorted(members):
            total += int(table.characters[index])
            if total > (most or 1):
                break
            expected.add(index)
        assert {index for index in taken if table.languages[index] == number} == expected


def test_a_mixture_gives_languages_their_weights():
    rows = [
        (language, f"{language}{index}", 100, False, False) for language in ("c", "go", "sql") for index in range(50)
    ]
    table = files(rows)
    settings = load({"characters_per_language": 1000, "mixture": {"C": 2, "sql": 0}}, [], "test")
    kept, _ = balance(table, np.arange(len(rows)), settings)
    assert {name: int((table.languages[kept] == index).sum()) for index, name in enumerate(table.language_names)} == {
        "c": 20, "go": 10, "sql": 0,
    }  # fmt: skip
    kept, _ = balance(table, np.arange(len(rows)), load({"mixture": {"go": 0}}, ["characters_per_language=0"], "test"))
    assert len(kept) == 100


def test_whether_a_repository_is_held_out_does_not_depend_on_others():
    names = [f"owner/r{index}" for index in range(2000)]
    chosen = choosing.held_out(names, ["listed"], 0.1)
    assert chosen - {"listed"} == choosing.held_out(names[:1000], [], 0.1) | choosing.held_out(names[1000:], [], 0.1)
    assert 140 < len(chosen) < 260  # 200 on average, 13 is the standard deviation
    assert choosing.held_out(names, [], 0) == frozenset()


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("fim_rate=2", "settings.fim_rate must be from 0 to 1"),
        ("packing=tight", "settings.packing must be one of dense, file, fit"),
        ("mixture.klingon=1", "klingon"),
        ("vocabulary=3", "unknown key settings.vocabulary"),
        ("sequence_length=0", "at least 1"),
        ("tokenizer=nowhere", "no tokenizer in nowhere"),
        ("seed", "key=value"),
    ],
)
def test_bad_settings_are_refused(override, message):
    with pytest.raises(CodeGeeXError, match=message):
        load({}, [override], "test")
