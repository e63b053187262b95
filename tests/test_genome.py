"""The genome: blocks to one vector and back, first genes, sharing, bounds, and telling two layouts apart."""

import json
import pickle

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evoplastic.errors import UserError
from evoplastic.genome import Block, BlockSettings, GenomeLayout, groups

TYPES = np.array([0, 2, 2, 0, 2])  # five units of types 0 and 2; type 1 has none
TIERS = ("scalar", "cell_type", "projection", "neuron", "synapse")
quick = settings(derandomize=True, max_examples=50, deadline=None)


def block(name="weights", sharing="synapse", born=None, **said):
    return Block(name, (5, 5), groups(sharing, TYPES, 3), BlockSettings(sharing=sharing, **said), born)


def layout(*blocks, seed=0):
    return GenomeLayout(blocks, seed)


def only(genome, genotype=None):
    """Return the values of a genome's single block."""
    (values,) = genome.unpack(genome.initial() if genotype is None else genotype).values()
    return values


@quick
@given(st.data())
def test_packing_undoes_unpacking(data):
    tiers = data.draw(st.lists(st.sampled_from(TIERS), min_size=1, max_size=4))
    genome = layout(*(block(f"b{i}", tier) for i, tier in enumerate(tiers)))
    genes = data.draw(st.lists(st.floats(-1e6, 1e6), min_size=genome.size, max_size=genome.size))
    genotype = np.array(genes)
    assert np.array_equal(genome.pack(genome.unpack(genotype)), genotype)


@quick
@given(st.floats(-100, 100), st.floats(-10, 10), st.floats(0.1, 10))
def test_packing_undoes_unpacking_of_bounded_genes(gene, low, width):
    genome = layout(block(sharing="scalar", initial=low + width / 2, bounds=(low, low + width)))
    genotype = np.array([gene])
    assert np.allclose(genome.pack(genome.unpack(genotype)), genotype, rtol=1e-9 * (1 + gene * gene), atol=1e-9)


@quick
@given(st.floats(), st.floats(-10, 9), st.floats(1e-3, 10))
def test_values_stay_inside_their_bounds_for_every_gene(gene, low, width):
    high = low + width
    values = only(layout(block(initial=low + width / 2, bounds=(low, high))), np.full(25, gene))
    assert np.isnan(gene) or ((low <= values) & (values <= high)).all()


def test_bounded_values_are_those_of_the_formula():
    genome = layout(block(sharing="scalar", initial=2.0, bounds=(1.0, 5.0)))
    gene = genome.initial()
    assert np.allclose(gene, 2 * (2 * 0.25 - 1) / np.sqrt(1 - (2 * 0.25 - 1) ** 2))
    assert np.allclose(only(genome), 2.0)
    assert np.allclose(only(genome, np.array([1.0])), 1.0 + 4.0 * (0.5 + 0.5 / np.sqrt(5.0)))
    slope = (only(genome, np.array([1e-6])) - only(genome, np.array([-1e-6]))) / 2e-6
    assert np.allclose(slope, 4.0 / 4)


def test_a_value_at_a_bound_has_a_finite_gene():
    genome = layout(block(initial=0.5, bounds=(0.0, 1.0)))
    values = {"weights": np.linspace(0.0, 1.0, 25).reshape(5, 5)}
    genotype = genome.pack(values)
    assert np.isfinite(genotype).all()
    assert np.allclose(only(genome, genotype), values["weights"], rtol=0, atol=1e-15)


def test_a_value_outside_its_bounds_cannot_be_packed():
    with pytest.raises(ValueError, match="bounds"):
        layout(block(initial=0.5, bounds=(0.0, 1.0))).pack({"weights": np.full((5, 5), 1.5)})


def test_a_shared_gene_is_packed_from_its_elements_mean():
    genome = layout(block(sharing="neuron"))
    values = np.arange(25.0).reshape(5, 5)
    assert np.array_equal(genome.pack({"weights": values}), values.mean(axis=0))


@pytest.mark.parametrize(
    "sharing, index",
    [
        ("scalar", lambda pre, post: 0),
        ("cell_type", lambda pre, post: [0, 2].index(TYPES[post])),
        ("projection", lambda pre, post: 2 * [0, 2].index(TYPES[pre]) + [0, 2].index(TYPES[post])),
        ("neuron", lambda pre, post: post),
        ("synapse", lambda pre, post: 5 * pre + post),
    ],
)
def test_each_tier_shares_its_genes(sharing, index):
    found = groups(sharing, TYPES, 3)
    assert found.dtype == np.int64
    assert found.tolist() == [[index(pre, post) for post in range(5)] for pre in range(5)]


def test_a_cell_type_out_of_range_is_refused():
    with pytest.raises(ValueError, match="0 to 1, got 0 to 2"):
        groups("projection", TYPES, 2)


def test_a_shared_gene_gets_one_draw():
    values = only(layout(block(sharing="cell_type", spread=1.0)))
    assert len(np.unique(values)) == 2
    assert np.array_equal(values, values[:1].repeat(5, axis=0))


def test_first_genes_are_normal_around_initial():
    n = 100
    types = np.zeros(n, np.int64)
    large = Block("weights", (n, n), groups("synapse", types, 1), BlockSettings(initial=2.0, spread=0.5))
    genes = layout(large).initial()
    assert abs(genes.mean() - 2.0) < 5 * 0.5 / n  # five standard errors
    assert abs(genes.std() - 0.5) < 5 * 0.5 / n / np.sqrt(2)


def test_elements_that_are_not_born_start_at_zero():
    born = np.ones((5, 5), bool)
    born[2] = False
    values = only(layout(block(initial=3.0, spread=0.1, born=born)))
    assert (values[2] == 0).all() and (values[born] != 0).all()


def test_a_shared_gene_with_a_born_element_is_born():
    born = np.zeros((5, 5), bool)
    born[0, 1] = True
    assert np.array_equal(only(layout(block(sharing="neuron", initial=3.0, born=born)))[0], [0, 3, 0, 0, 0])


def test_first_genes_respect_the_floor():
    genes = layout(block(spread=1.0, floor=0.0)).initial()
    assert genes.min() == 0 and genes.max() > 0


def test_seed_zero_is_a_seed():
    first, again, other = (layout(block(spread=1.0), seed=seed).initial() for seed in (0, 0, 1))
    assert np.array_equal(first, again) and not np.array_equal(first, other)


def test_other_blocks_do_not_change_a_blocks_first_genes():
    weights, gains = block(spread=1.0), block("gains", spread=1.0)
    alone = layout(weights).initial()
    assert np.array_equal(layout(gains, weights).initial()[25:], alone)
    assert not np.array_equal(layout(gains, weights).initial()[:25], alone)


def test_freezing_a_block_keeps_its_first_values_and_drops_its_genes():
    free = layout(block(spread=1.0), block("gains", initial=0.5))
    frozen = layout(block(spread=1.0, evolve=False), block("gains", initial=0.5))
    assert frozen.size == 25
    values = frozen.unpack(np.arange(25.0))
    assert np.array_equal(values["weights"], free.unpack(free.initial())["weights"])
    assert np.array_equal(values["gains"].ravel(), np.arange(25.0))


def test_frozen_values_are_computed_once_and_cannot_be_written():
    frozen = layout(block(spread=1.0, evolve=False))
    values = only(frozen)
    assert values is only(frozen)
    with pytest.raises(ValueError, match="read-only"):
        values[0, 0] = 1.0


def test_floors_and_steps_follow_the_blocks_that_evolve():
    genome = layout(
        block("gains", "neuron", floor=0.0, step=0.1), block("off", evolve=False), block("rate", "scalar", step=2.0)
    )
    assert genome.floors.tolist() == [0.0] * 5 + [-np.inf]
    assert genome.steps.tolist() == [0.1] * 5 + [2.0]


def test_a_genotype_of_another_size_is_refused():
    with pytest.raises(ValueError, match=r"\(25,\), got \(24,\)"):
        layout(block()).unpack(np.zeros(24))


@pytest.mark.parametrize(
    "said, sentence",
    [
        ({"initial": 2.0, "bounds": (0.0, 1.0)}, "starts at 2.0, which is not inside its bounds 0.0 to 1.0"),
        ({"initial": 0.5, "bounds": (1.0, 0.0)}, "low < high"),
        ({"initial": 0.5, "bounds": (0.0, 1.0), "floor": 0.0}, "bounds and a floor"),
        ({"initial": float("nan")}, "finite"),
        ({"initial": 0.5, "bounds": (0.0, float("inf"))}, "finite"),
        ({"initial": 1.5, "bounds": (1.0, 2.0), "born": np.eye(5, dtype=bool)}, "starts at 0.0"),
    ],
)
def test_contradictory_settings_are_refused_by_name_of_the_block(said, sentence):
    with pytest.raises(UserError, match=f"block 'gains'.*{sentence}"):
        block("gains", **said)


@pytest.mark.parametrize("said", [{"spread": -1.0}, {"step": 0.0}, {"spraed": 1.0}, {"sharing": "neurons"}])
def test_settings_out_of_range_are_refused_when_read(said):
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(said, BlockSettings)


def test_gene_numbers_with_a_gap_are_refused():
    with pytest.raises(ValueError, match="every number from 0 to 2"):
        Block("rates", (2,), np.array([0, 2]), BlockSettings())


def test_two_blocks_of_one_name_are_refused():
    with pytest.raises(ValueError, match="different names"):
        layout(block(), block())


def test_the_table_has_a_row_for_each_block():
    rows = layout(block(spread=1.0), block("gains", "projection", initial=0.5, evolve=False)).describe()
    assert rows[0] == ("weights", (5, 5), "synapse", 25, True, 0.0, 1.0, None)
    assert rows[1] == ("gains", (5, 5), "projection", 4, False, 0.5, 0.0, None)


def test_equal_layouts_do_not_differ_after_json():
    bounded = {"initial": 0.5, "bounds": (0, 1)}
    meta = json.loads(json.dumps(layout(block(), block("gains", **bounded)).meta()))
    assert layout(block(), block("gains", **bounded)).difference(meta) is None


EYE = np.eye(5, dtype=bool)


@pytest.mark.parametrize(
    "other, sentence",
    [
        ([block(), block("gains", "neuron")], "block 'gains' differs in genes: 5 there, 25 here"),
        ([block(), block("gains", floor=0.0)], "block 'gains' differs in floor: 0.0 there, None here"),
        ([block(), block("gains", born=EYE)], "block 'gains' differs in born"),
        ([block(), block("gains", evolve=False)], "block 'gains' differs in evolve: False there, True here"),
        ([block()], "block 'gains' is only here"),
        ([block(), block("gains"), block("rates")], "block 'rates' is only there"),
        ([block("gains"), block()], "block 'weights' has place 1 there, 0 here"),
    ],
)
def test_a_difference_names_the_block_and_what_differs(other, sentence):
    assert layout(block(), block("gains")).difference(layout(*other).meta()).startswith(sentence)


def test_the_seed_matters_where_values_are_frozen_and_only_there():
    frozen, free = block(spread=1.0, evolve=False), block(spread=1.0)
    assert "differs in seed: 1 there, 0 here" in layout(frozen).difference(layout(frozen, seed=1).meta())
    assert layout(free).difference(layout(free, seed=1).meta()) is None


def test_a_layout_survives_pickling():
    genome = layout(block(spread=1.0, evolve=False), block("gains", spread=1.0))
    copy = pickle.loads(pickle.dumps(genome))
    genotype = genome.initial()
    assert all(np.array_equal(copy.unpack(genotype)[name], v) for name, v in genome.unpack(genotype).items())
