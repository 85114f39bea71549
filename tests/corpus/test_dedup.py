"""Near duplicates, against comparing every pair of sets."""

import random
import re

import daft
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from codegeex.corpus import dedup

WORDS = [f"word{index}" for index in range(400)]


THRESHOLD = 0.85


def signatures(texts):
    frame = daft.from_pydict({"text": list(texts)}).select(dedup.signature(daft.col("text")).alias("hashes"))
    return np.array(frame.to_pydict()["hashes"], np.uint32).reshape(-1, dedup.HASHES)


def near_duplicates(texts, preference):
    """For each text the one that is kept in its place, or None if it is kept itself."""
    filled = np.array([bool(text.strip()) for text in texts], np.bool_)
    components = dedup.near_duplicates(signatures(texts), filled, THRESHOLD)
    order = sorted(range(len(texts)), key=lambda index: (-preference[index], index))
    rank = np.empty(len(texts), np.int64)
    rank[order] = np.arange(len(texts))
    kept = dedup.chosen(components, rank).tolist()
    return [None if other == index else other for index, other in enumerate(kept)]


def shingles(text):
    words = re.findall(r"\w+", text)
    return {tuple(words[index : index + dedup.NGRAM]) for index in range(max(1, len(words) - dedup.NGRAM + 1))}


def jaccard(one, other):
    return len(one & other) / len(one | other)


def versions(seed, count=12, length=300):
    """Texts, each followed by copies of which more and more words are changed."""
    rng = random.Random(seed)
    texts = []
    for _ in range(count):
        words = rng.choices(WORDS, k=length)
        texts.append(" ".join(words))
        for changes in (1, 3, 8, 25, 80):
            changed = list(words)
            for place in rng.sample(range(length), changes):
                changed[place] = rng.choice(WORDS)
            texts.append("\n".join(changed))
    return texts


def test_signatures_estimate_the_jaccard_index():
    texts = versions(0)
    found = signatures(texts)
    sets = list(map(shingles, texts))
    errors = [
        (found[one] == found[other]).mean() - jaccard(sets[one], sets[other])
        for one in range(len(texts))
        for other in range(one + 1, len(texts))
    ]
    assert abs(np.mean(errors)) < 0.005
    assert np.max(np.abs(errors)) < 6 * 0.5 / np.sqrt(dedup.HASHES)


@pytest.mark.parametrize("seed", range(4))
def test_what_is_alike_is_found_and_what_is_not_is_kept(seed):
    texts = versions(seed)
    sets = list(map(shingles, texts))
    instead = near_duplicates(texts, [0] * len(texts))
    margin = 4 * np.sqrt(0.85 * 0.15 / dedup.HASHES)
    for index, other in enumerate(instead):
        if other is None:
            # Nothing that is clearly alike is left beside it.
            for second, kept in enumerate(instead):
                if kept is None and second != index:
                    assert jaccard(sets[index], sets[second]) < THRESHOLD + margin
        else:
            assert instead[other] is None
            # Through others, perhaps: some text in the component is clearly near.
            members = [one for one, kept in enumerate(instead) if kept == other or one == other]
            assert max(jaccard(sets[index], sets[one]) for one in members if one != index) > THRESHOLD - margin


def test_bands_meet_as_often_as_the_formula_says():
    """Signatures whose hashes agree with probability s, drawn directly."""
    rng = np.random.default_rng(0)
    count = 4000
    for similarity in (0.5, 0.7, 0.85):
        base = rng.integers(0, 2**32, (count, dedup.HASHES), dtype=np.uint32)
        other = np.where(rng.random(base.shape) < similarity, base, base + 1).astype(np.uint32)
        pairs = {
            (int(one), int(two))
            for firsts, seconds in dedup.candidates(np.concatenate([base, other]), np.ones(2 * count, bool))
            for one, two in zip(firsts, seconds, strict=True)
        }
        expected = 1 - (1 - similarity**dedup.ROWS) ** dedup.BANDS
        assert len(pairs) / count == pytest.approx(expected, abs=4 * np.sqrt(expected * (1 - expected) / count) + 1e-3)


def test_the_preferred_one_is_kept_and_empty_texts_are_like_nothing():
    text = versions(7, count=1)[0]
    texts = ["", text, text + " end", "   ", text]
    assert near_duplicates(texts, [0, 1, 2, 0, 2]) == [None, 2, None, None, 2]
    assert near_duplicates(texts, [0, 3, 2, 0, 2]) == [None, None, 1, None, 1]


def test_a_large_bucket_is_one_component():
    text = versions(3, count=1)[0]
    assert near_duplicates([text] * 200, list(range(200))).count(None) == 1


@given(st.integers(1, 30), st.lists(st.tuples(st.integers(0, 29), st.integers(0, 29)), max_size=40))
def test_components_are_those_of_a_walk(count, edges):
    edges = [(one % count, other % count) for one, other in edges]
    groups = dedup.Components(count)
    for edge in edges:
        groups.join(*edge)
    reached = [{index} for index in range(count)]
    for _ in range(count):
        for one, other in edges:
            reached[one] |= reached[other]
            reached[other] |= reached[one]
    for one in range(count):
        for other in range(count):
            assert (groups.root(one) == groups.root(other)) == bool(reached[one] & reached[other])
