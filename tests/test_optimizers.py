"""Optimizers against their equations, number by number in plain Python, and what every one of them promises."""

import math

import msgspec
import numpy as np
import pytest
from test_strategies import CENTER, D, advance, build, evolved, normals, same, sphere

from evoplastic.genome import Block, BlockSettings, GenomeLayout
from evoplastic.strategies.openai_es import OpenAIESSettings
from evoplastic.strategies.optimizers import FOP, OPTIMIZERS, SGD, Adam, ClipUp, Hypergradient

GRADIENTS = [normals(np.uint64(number), 5) * 1.5**number for number in range(6)]
EVERY = {
    "adam": Adam(),
    "clipup": ClipUp(),
    "sgd": SGD(),
    "nesterov": SGD(nesterov=True),
    "hypergradient": Hypergradient(),
    "plain_hypergradient": Hypergradient(normalised=False),
    "fop": FOP(),
    "plain_fop": FOP(normalised=False),
    "fop_per_block": FOP(form="per_block", block=2),
    "fop_diagonal": FOP(form="diagonal"),
    "fop_low_rank": FOP(form="low_rank", memory=2),
}
every = pytest.mark.parametrize("optimizer", EVERY.values(), ids=EVERY)


def changes(optimizer, gradients):
    """Return the change after each gradient, and the last state."""
    state, found = optimizer.initial(len(gradients[0])), []
    for gradient in gradients:
        change, state = optimizer.update(state, gradient)
        found.append(change)
    return np.array(found), state


def naive_norm(vector):
    return math.sqrt(sum(number * number for number in vector))


# ---- what every optimizer promises


def test_every_kind_is_tried_here():
    assert {type(optimizer) for optimizer in EVERY.values()} == set(OPTIMIZERS.values())


@every
def test_a_first_step_is_downhill_in_each_gene(optimizer):
    change, _ = optimizer.update(optimizer.initial(2), np.array([1.0, -2.0]))
    assert change[0] < 0 < change[1]


@every
def test_nothing_that_is_given_is_altered(optimizer):
    state, gradient = changes(optimizer, GRADIENTS[:3])[1], GRADIENTS[3].copy()
    before = {name: array.copy() for name, array in state.items()}
    change, after = optimizer.update(state, gradient)
    assert np.array_equal(gradient, GRADIENTS[3])
    assert all(np.array_equal(state[name], before[name]) for name in before)
    arrays = [change, gradient, *state.values()]
    assert not any(np.shares_memory(mine, theirs) for mine in after.values() for theirs in arrays)


@every
def test_a_state_is_named_float64_arrays_of_the_same_shapes_from_the_first(optimizer):
    first, last = optimizer.initial(5), changes(optimizer, GRADIENTS)[1]
    assert {name: array.shape for name, array in first.items()} == {name: array.shape for name, array in last.items()}
    assert all(array.dtype == np.float64 for array in [*first.values(), *last.values()])


@every
def test_a_read_only_state_goes_on_to_the_same_bits(optimizer):
    state = changes(optimizer, GRADIENTS[:4])[1]
    frozen = {name: array.copy() for name, array in state.items()}
    for array in frozen.values():
        array.setflags(write=False)
    one, _ = optimizer.update(state, GRADIENTS[4])
    other, _ = optimizer.update(frozen, GRADIENTS[4])
    assert one.tobytes() == other.tobytes()


@every
@pytest.mark.parametrize("before", [0, 2])
def test_a_gradient_of_zero_harms_nothing(optimizer, before):
    zeros = np.zeros(5)
    found, state = changes(optimizer, [*GRADIENTS[:before], zeros, zeros, GRADIENTS[3]])
    assert np.isfinite(found).all() and all(np.isfinite(array).all() for array in state.values())
    assert found[-1].any()


@every
def test_a_genome_of_no_genes_has_a_state(optimizer):
    assert all(array.dtype == np.float64 for array in optimizer.initial(0).values())


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_openai_es_climbs_with_it_and_resumes_to_the_bit(kind):
    strategy = build(sigma=0.1, optimizer={"type": kind, "learning_rate": 0.02}, weight_decay=0.0)
    state = evolved(strategy, 5)
    assert sphere(state.center) > sphere(CENTER)
    restored = strategy.restore({name: array.copy() for name, array in strategy.arrays(state).items()})
    assert same(strategy, advance(strategy, restored), advance(strategy, state))


@pytest.mark.parametrize(
    "said, sentence",
    [
        ({"type": "sgd", "momentum": 1.0}, "momentum"),
        ({"type": "sgd", "learning_rate": 0.0}, "learning_rate"),
        ({"type": "clipup", "max_speed": 0.0}, "max_speed"),
        ({"type": "hypergradient", "rate": -1.0}, "rate"),
        ({"type": "fop", "form": "low-rank"}, "low-rank"),
        ({"type": "fop", "cap": 0.5}, "cap"),
        ({"type": "fop", "block": 0}, "block"),
        ({"type": "fop", "rank": 3}, "rank"),
    ],
)
def test_settings_out_of_range_are_refused_when_read(said, sentence):
    with pytest.raises(msgspec.ValidationError, match=sentence):
        msgspec.convert({"optimizer": said}, OpenAIESSettings)


def test_a_blocks_step_scales_its_members_and_its_updates():
    def block(name, step):
        return Block(name, (3,), np.arange(3), BlockSettings(step=step))

    layout = GenomeLayout((block("slow", 0.25), block("fast", 4.0)), seed=0)
    strategy = build(genome=layout, weight_decay=0.0, optimizer={"type": "sgd"})
    plain = build(weight_decay=0.0, optimizer={"type": "sgd"})
    steps, zeros, fitness = np.repeat([0.25, 4.0], 3), np.zeros(D), normals(np.uint64(1), 20)
    found, expected = (search.ask(search.initial(zeros)) for search in (strategy, plain))
    assert np.array_equal(found.genotype(7), steps * expected.genotype(7))
    moved = strategy.tell(strategy.initial(zeros), found, fitness).center
    assert np.array_equal(moved, steps * plain.tell(plain.initial(zeros), expected, fitness).center)


# ---- Adam


def test_adam_takes_the_steps_computed_by_hand():
    adam = Adam(learning_rate=0.1, beta_1=0.5, beta_2=0.75, epsilon=1.0)
    first, state = adam.update(adam.initial(1), np.array([2.0]))
    # m = 1, v = 1; corrected 1 / 0.5 = 2 and 1 / 0.25 = 4; 0.1 * 2 / (2 + 1)
    assert first == pytest.approx([-0.2 / 3], rel=1e-15)
    second, _ = adam.update(state, np.array([-4.0]))
    # m = 0.5 - 2 = -1.5, v = 0.75 + 4 = 4.75; corrected by 0.75 and 0.4375
    assert second == pytest.approx([0.1 * 2.0 / (math.sqrt(4.75 / 0.4375) + 1.0)], rel=1e-15)


# ---- gradient descent with momentum


@pytest.mark.parametrize("nesterov", [False, True])
def test_sgd_is_its_equation(nesterov):
    found, _ = changes(SGD(learning_rate=0.3, momentum=0.7, nesterov=nesterov), GRADIENTS)
    velocity = [0.0] * 5
    for gradient, change in zip(GRADIENTS, found):
        velocity = [0.7 * v + g for v, g in zip(velocity, gradient)]
        ahead = [g + 0.7 * v for g, v in zip(gradient, velocity)]
        assert change == pytest.approx([-0.3 * d for d in (ahead if nesterov else velocity)], rel=1e-14)


def test_nesterovs_form_is_the_one_that_looks_ahead():
    """Sutskever et al. 2013: v <- mu v - rate * gradient(x + mu v), x <- x + v; ours is told of y = x + mu v."""
    curvature, rate, mu = np.array([1.0, 0.1]), 0.5, 0.8
    x, v = np.array([1.0, -2.0]), np.zeros(2)
    optimizer = SGD(learning_rate=rate, momentum=mu, nesterov=True)
    y, state = x.copy(), optimizer.initial(2)
    for _ in range(6):
        v = mu * v - rate * curvature * (x + mu * v)
        x = x + v
        change, state = optimizer.update(state, curvature * y)
        y = y + change
        assert np.allclose(y, x + mu * v, rtol=1e-13)


# ---- ClipUp


@pytest.mark.parametrize("max_speed", [None, 0.03, 5.0])
def test_clipup_is_its_equation(max_speed):
    gradients = [GRADIENTS[0] + 0.1 * gradient for gradient in GRADIENTS]  # aligned, so that speed builds up
    found, _ = changes(ClipUp(learning_rate=0.02, momentum=0.8, max_speed=max_speed), gradients)
    highest = 0.04 if max_speed is None else max_speed
    velocity, clipped = [0.0] * 5, []
    for gradient, change in zip(gradients, found):
        length = naive_norm(gradient)
        velocity = [0.8 * v - 0.02 * g / length for v, g in zip(velocity, gradient)]
        speed = naive_norm(velocity)
        clipped.append(speed > highest)
        if speed > highest:
            velocity = [v * highest / speed for v in velocity]
        assert change == pytest.approx(velocity, rel=1e-13)
    assert any(clipped) == (max_speed != 5.0)


def test_clipup_does_not_see_the_gradients_scale():
    one, _ = changes(ClipUp(), GRADIENTS)
    other, _ = changes(ClipUp(), [1024.0 * gradient for gradient in GRADIENTS])
    assert np.array_equal(one, other)


# ---- hypergradient descent


@pytest.mark.parametrize("normalised", [False, True])
def test_hypergradient_descent_is_its_equation(normalised):
    optimizer = Hypergradient(learning_rate=0.1, rate=0.01, normalised=normalised, cap=1.5)
    found, _ = changes(optimizer, GRADIENTS)
    rate, previous, rates = 0.1, None, []
    for gradient, change in zip(GRADIENTS, found):
        if previous is not None:
            aligned = sum(g * p for g, p in zip(gradient, previous))
            if normalised:
                rate *= 1.0 + 0.01 * aligned / (naive_norm(gradient) * naive_norm(previous))
            else:
                rate += 0.01 * aligned
            rate = min(max(rate, 0.0), 0.15)
        assert change == pytest.approx([-rate * g for g in gradient], rel=1e-13)
        previous = gradient
        rates.append(rate)
    assert len(set(rates)) > 2


def test_the_learning_rate_follows_the_slope_of_the_loss_by_it():
    curvature, x, rate = np.array([1.0, 3.0]), np.array([1.0, -0.5]), 0.2
    optimizer = Hypergradient(learning_rate=rate, rate=1e-3, normalised=False)

    def loss(rate):
        return 0.5 * np.sum(curvature * np.square(x - rate * curvature * x))

    change, state = optimizer.update(optimizer.initial(2), curvature * x)
    _, state = optimizer.update(state, curvature * (x + change))
    slope = (loss(rate + 1e-6) - loss(rate - 1e-6)) / 2e-6
    assert (state["learning_rate"][0] - rate) / 1e-3 == pytest.approx(-slope, rel=1e-6)


def test_the_learning_rate_stays_between_zero_and_its_cap():
    up, down = [np.ones(2)] * 50, [np.ones(2), -np.ones(2)] * 25
    optimizer = Hypergradient(learning_rate=0.5, rate=1.0, normalised=False, cap=3.0)
    assert changes(optimizer, up)[1]["learning_rate"] == [1.5]
    assert changes(optimizer, down)[1]["learning_rate"] == [0.0]
