"""The learned partition: it learns, is calibrated on unseen pairs, and is saved whole."""

import numpy as np
import pytest

from qdlaws import measure
from qdlaws.errors import BadData, BadLog, NotEnoughData

COLOURS = [("red", "crimson"), ("blue", "azure"), ("green", "emerald"), ("black", "ebony")]


THINGS = [("car", "automobile"), ("house", "home"), ("boat", "ship"), ("stone", "rock")]


PLACES = ["here", "there", "outside", "inside", "upstairs", "nearby", "abroad", "downtown"]


def make_pairs(count, seed=0):
    """Two concepts, each said in two ways, in either order, at places that do not matter."""
    rng = np.random.default_rng(seed)
    pairs, same = [], []
    for i in range(count):
        colour, thing = rng.integers(0, 4, 2)
        other = (colour, thing) if i % 2 else tuple(rng.integers(0, 4, 2))

        def say(c, t):
            a, b = COLOURS[c][rng.integers(2)], THINGS[t][rng.integers(2)]
            place = PLACES[rng.integers(len(PLACES))]
            return f"{place} the {a} {b}" if rng.integers(2) else f"{b} that is {a} {place}"

        pairs.append((say(colour, thing), say(*other)))
        same.append(float(other == (colour, thing)))
    return pairs, np.array(same)


@pytest.fixture(scope="module")
def learned():
    pytest.importorskip("transformers")
    pairs, same = make_pairs(800)
    size = {"width": 32, "layers": 1, "heads": 2}
    return measure.train_partition(pairs, same, **size, epochs=9, rate=3e-3, batch=32)


def test_it_learns_synonyms_that_no_surface_measure_sees(learned):
    pairs, same = make_pairs(300, seed=1)
    right = np.mean((learned.probabilities(pairs) >= learned.threshold) == same)
    assert right > 0.85  # .5 for a constant answer, about .6 for word overlap
    assert learned.report.accuracy > 0.85
    assert learned.report.brier < 0.15
    assert learned.report.tested_on == 80
    assert "held-out accuracy" in str(learned.report)


def test_order_does_not_matter_and_matrix_is_the_pairs(learned):
    pairs, _ = make_pairs(20, seed=2)
    swapped = [(b, a) for a, b in pairs]
    assert learned.probabilities(pairs) == pytest.approx(learned.probabilities(swapped), abs=1e-6)
    texts = [a for a, _ in pairs[:5]]
    table = learned.matrix(texts)
    one = learned.probabilities([(texts[1], texts[3])])[0]
    assert table[1, 3] == pytest.approx(one, abs=1e-6)
    assert np.array_equal(table, table.T)


def test_the_classifier_serves_as_an_equivalence(learned):
    texts = ["here the red car", "automobile that is crimson here", "here the blue car"]
    same = learned.equivalence()
    table = learned.matrix(texts) >= learned.threshold
    assert same(texts[0], texts[1]) == table[0, 1]
    ours = measure.distinct_classes(texts, same)
    assert 1 <= ours.value <= 3
    assert learned.equivalence(0.0)(texts[0], texts[2])  # at cut 0 all is the same


def test_a_saved_classifier_gives_the_same_numbers(learned, tmp_path):
    learned.save(tmp_path / "model")
    back = measure.LearnedPartition.load(tmp_path / "model")
    pairs, _ = make_pairs(10, seed=3)
    assert np.array_equal(back.probabilities(pairs), learned.probabilities(pairs))
    assert back.report == learned.report
    assert back.threshold == learned.threshold
    assert {p.name for p in (tmp_path / "model").iterdir()} == {
        "model.safetensors",
        "partition.json",
    }
    with pytest.raises(BadLog, match=r"partition\.json"):
        measure.LearnedPartition.load(tmp_path)


@pytest.mark.parametrize("name", ["partition.json", "model.safetensors"])
@pytest.mark.parametrize("content", [b"", b"[" * 50_000, b'{"config": {"width": 1e400}}', b"{}"])
def test_a_damaged_classifier_is_one_line(learned, name, content, tmp_path):
    learned.save(tmp_path)
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BadLog, match="holds a damaged classifier"):
        measure.LearnedPartition.load(tmp_path)


def test_training_is_reproducible_and_leaves_torchs_seed_alone(learned):
    torch = pytest.importorskip("torch")
    pairs, same = make_pairs(60)
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    small = {"width": 8, "layers": 1, "heads": 1, "epochs": 1, "held_out": 0.5}
    one, two = (measure.train_partition(pairs, same, **small) for _ in range(2))
    assert np.array_equal(one.probabilities(pairs), two.probabilities(pairs))
    assert torch.equal(torch.random.get_rng_state(), before)


def test_bad_labels_are_refused():
    pytest.importorskip("transformers")
    with pytest.raises(BadData, match="each 0 or 1"):
        measure.train_partition([("a", "b")], [2])
    with pytest.raises(NotEnoughData, match="one label only"):
        measure.train_partition([(f"a{i}", f"b{i}") for i in range(40)], np.ones(40))
