"""Run files: complete after reading, refused in one sentence, the same after writing and reading again."""

import copy
import itertools
import json
import math
import tomllib

import msgspec
import pytest
import tomli_w
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evoplastic.config import VERSION, deciding, difference, parse_config, preset_names, read_config, write_toml
from evoplastic.errors import UserError
from evoplastic.rules import RULES

FUZZ = settings(
    max_examples=100, derandomize=True, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow]
)
SMALL = ["problem.network.units=13", "problem.task.trials=8", "problem.scored_trials=4"]
MINIMAL = """
[problem]
type = "lifetimes"
network = { type = "leaky" }
rule = { type = "node_perturbation" }
modulation = { type = "loss" }
task = { type = "boolean" }
[strategy]
type = "openai_es"
"""


def read(*overrides, source="quickstart", **top_level):
    return read_config(source, [*SMALL, *overrides], **top_level)


def refusal(*overrides, source="quickstart", **top_level):
    """Return the sentence that refuses a run file."""
    with pytest.raises(UserError) as refused:
        read(*overrides, source=source, **top_level)
    assert "\n" not in str(refused.value)
    return str(refused.value)


def file_of(folder, text, name="mine.toml"):
    path = folder / name
    path.write_text(text)
    return str(path)


# ---- reading


def test_defaults_are_filled_in(tmp_path):
    config = read_config(file_of(tmp_path, MINIMAL))
    assert (config.name, config.seed, config.generations) == ("mine", 0, 100)
    assert config.problem.network.units == 70 and config.problem.rule.eta == 0.03
    assert config.strategy.population == 500 and config.strategy.optimizer.learning_rate == 0.01
    written = tomllib.loads(write_toml(config))
    assert written["problem"]["task"]["periods"]["delay"] == 140.0
    assert written["problem"]["genome"]["gain"] == {
        "evolve": True,
        "initial": 0.5,
        "spread": 0.0,
        "sharing": "synapse",
        "step": 1.0,
    }


def test_a_battery_is_written_out_whole():
    battery = tomllib.loads(write_toml(read()))["problem"]["task"]["battery"]
    assert battery["type"] == "tables" and battery["source"] == "boolean2" and len(battery["tables"]) == 14


def test_a_run_file_lays_its_keys_over_what_it_extends(tmp_path):
    config = read_config(file_of(tmp_path, 'extends = "quickstart"\n[strategy]\nsigma = 0.5\n'))
    base = read_config("quickstart")
    assert config.strategy.sigma == 0.5
    assert msgspec.structs.replace(config, name=base.name, strategy=base.strategy) == base


def test_a_file_is_extended_from_beside_it_wherever_evoplastic_was_started(tmp_path):
    (tmp_path / "deep").mkdir()
    file_of(tmp_path, MINIMAL, "base.toml")
    config = read_config(file_of(tmp_path / "deep", 'extends = "../base.toml"\nseed = 5\n'))
    assert (config.seed, config.problem.network.units) == (5, 70)


@pytest.mark.parametrize("other", ["mine.toml", "./mine.toml", "../here/mine.toml", "between.toml"])
def test_a_file_that_extends_itself_is_refused(tmp_path, other):
    here = tmp_path / "here"
    here.mkdir()
    file_of(here, 'extends = "mine.toml"\n', "between.toml")
    source = file_of(here, f'extends = "{other}"\n')
    assert "extends itself" in refusal(source=source)


def test_another_type_replaces_the_whole_table():
    config = read("problem.modulation.type=none")
    assert msgspec.to_builtins(config.problem.modulation) == {"type": "none", "acts": "always"}


@pytest.mark.parametrize(
    ("override", "keys", "value"),
    [
        ("strategy.sigma=1", ("strategy", "sigma"), 1.0),
        ("strategy.sigma = 2e-2", ("strategy", "sigma"), 0.02),
        ("strategy.shaping=centered_rank", ("strategy", "shaping"), "centered_rank"),
        ('name="a b"', ("name",), "a b"),
        ("name=a#b", ("name",), "a#b"),
        ("name=", ("name",), ""),
        ("name=a=b", ("name",), "a=b"),
        ("name=1\nseed = 5", ("name",), "1\nseed = 5"),
        ("problem.task.alternate_halves=false", ("problem", "task", "alternate_halves"), False),
        ("problem.task.withheld=['or']", ("problem", "task", "withheld"), ("or", "nor")),
        ("problem.genome.innate.bounds=[-1, 1]", ("problem", "genome", "innate", "bounds"), (-1.0, 1.0)),
        ("strategy.optimizer={type='adam', beta_1=0.5}", ("strategy", "optimizer", "beta_1"), 0.5),
        ("problem.modulation={type='loss', rate=0.2}", ("problem", "modulation", "rate"), 0.2),
    ],
)
def test_set_takes_values_bare_words_and_tables(override, keys, value):
    found = read(override)
    for key in keys:
        found = getattr(found, key)
    assert found == value and type(found) is type(value)


def test_set_reaches_a_key_with_a_dot_in_it_by_quotes():
    rule = "problem.rule={type='together', parts={hebb={type='hebbian'}}}"
    found = read(rule, 'problem.genome.rule."hebb.eta".initial=3')
    assert found.problem.genome.rule["hebb.eta"].initial == 3.0


def test_the_last_set_wins_and_options_win_over_it():
    config = read("seed=1", "seed=2", "generations=9", generations=3, seed=None)
    assert (config.seed, config.generations) == (2, 3)


# ---- refusing


@pytest.mark.parametrize(
    ("override", "key", "nearest"),
    [
        ("sed=1", "sed", "seed"),
        ("strateg.sigma=1", "strateg", "strategy"),
        ("strategy.sigm=1", "strategy.sigm", "sigma"),
        ("strategy.optimizer.learning_rat=1", "strategy.optimizer.learning_rat", "learning_rate"),
        ("problem.scored_trial=1", "problem.scored_trial", "scored_trials"),
        ("problem.network.unit=1", "problem.network.unit", "units"),
        ("problem.network.roles.modulators=1", "problem.network.roles.modulators", "modulator"),
        ("problem.rule.burn_in=1", "problem.rule.burn_in", "burn_in_trials"),
        ("problem.task.periods.delays=1", "problem.task.periods.delays", "delay"),
        ("problem.task.battery.nam=x", "problem.task.battery.nam", "name"),
        ("problem.genome.gain.shring=x", "problem.genome.gain.shring", "sharing"),
        ("validation.evry=1", "validation.evry", "every"),
    ],
)
def test_a_misspelt_key_is_refused_with_its_path_and_the_nearest_known_one(override, key, nearest):
    assert refusal(override).startswith(f"unknown key {key!r}; did you mean {nearest!r}? (known here: ")


def test_keys_of_another_type_are_not_offered():
    sentence = refusal("problem.modulation.smoothness=1")  # of network_controlled, and this is loss
    assert sentence == "unknown key 'problem.modulation.smoothness' (known here: type, baseline, rate)"


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("strategy.sigma=-1", "strategy.sigma: expected `float` > 0.0, got -1"),
        ("strategy.sigma=wide", "strategy.sigma: expected `float`, got 'wide'"),
        ("strategy.population=4.0", "strategy.population: expected `int`, got 4.0"),
        ("strategy.population=true", "strategy.population: expected `int`, got True"),
        ("strategy=3", "strategy: expected `object`, got 3"),
        ("seed=-1", "seed: expected `int` >= 0, got -1"),
        ("deviations=[1]", "deviations[0]: expected `str`, got 1"),
        (
            "problem.task.battery={type='tables', tables={a='01', b=3}}",
            "problem.task.battery.tables[...]: expected `str`, got `int`",
        ),
        (
            "problem.rule.type=node",
            f"problem.rule.type: 'node' is unknown; choose one of {sorted([*RULES, 'together'])}",
        ),
        (
            "problem.modulation.baseline=per_typ",
            "problem.modulation.baseline: 'per_typ' is unknown; choose one of ['per_type', 'single']; "
            "did you mean 'per_type'?",
        ),
        (
            "strategy.population=5",
            "strategy: population must be even, since members come in antithetic pairs, got 5",
        ),
        (
            "problem.scored_trials=9",
            "problem.scored_trials must be at most the 8 trials (decisions of a meta-task) of a task, got 9",
        ),
        ("strategy", "--set must look like strategy.sigma=0.02, got 'strategy'"),
        ("strategy..sigma=1", "--set must look like strategy.sigma=0.02, got 'strategy..sigma=1'"),
    ],
)
def test_the_refusal_says_what_was_expected_and_got(override, sentence):
    assert refusal(override) == sentence


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("problem.network.units=10", "units must be at least 11 to hold the roles"),
        ("problem.network.units=5001", "units must be at most 5000"),
        ("problem.network.dt_ms=200", "dt_ms must be at most tau_ms = 100.0"),
        ("problem.network.dt_ms=1e-9", "dt_ms must be at least 0.001"),
        ("problem.rule.trace_tau_ms=20", "trace_tau_ms must be above"),
        ("problem.task.periods.delay=25", "task.periods.delay must be a multiple of 20.0 ms"),
        ("problem.task.periods.feedback=0", "periods.feedback must be at least one step"),
        ("problem.task.periods.delay=1e9", "periods.delay must be at most 100000 steps"),
        ("problem.task.withheld=['dsm']", "task 'dsm' is unknown; choose one of ['and', 'nand'"),
        ("problem.task.withheld=['and','01','10','watchstim1','watchstim2','dms','or']", "leaves no task to evolve on"),
        ("problem.task.battery.name=boolean3", "choose one of ['boolean2', 'boolean2-as-published']; did you mean"),
        ("problem.genome.gain.bounds=[0,1]", "bounds and a floor"),
        (
            "evaluation.controls=['plasticity_of']",
            "'plasticity_of' is unknown; choose some of ['all', 'plasticity_off'",
        ),
        ("format=other", "choose one of ['evoplastic.run']"),
        ("version=0", "version"),
        ("strategy.sigma=inf", "strategy.sigma: expected a number between"),
        ("problem.network.tau_ms=nan", "problem.network.tau_ms: expected a number between"),
        ("problem.task.levels.stimulus=1e300", "problem.task.levels.stimulus: expected a number between"),
        ("problem.task.trials=100000000000000000000", "problem.task.trials: expected an integer of at most 63 bits"),
        ("problem.task.tasks_per_life=100000000000", "problem.task.tasks_per_life: expected `int` <= 1000"),
        ("name=\udcff", "name: expected valid Unicode text"),
        ("name=" + "[" * 5000 + "3", ""),
    ],
)
def test_what_cannot_live_is_refused(override, words):
    assert words in refusal(override) if words else read(override)


def test_network_controlled_modulation_needs_modulator_units():
    sentence = refusal("problem.modulation.type=network_controlled", "problem.network.roles.modulator=0")
    assert sentence.startswith(
        "network-controlled modulation needs 2 modulator units, got 0; set problem.network.roles"
    )


def test_an_unknown_preset_is_refused_with_all_names():
    sentence = refusal(source="quickstrat")
    assert all(name in sentence for name in preset_names()) and sentence.endswith("did you mean 'quickstart'?")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("seed = ", "cannot be read"),
        ("seed = 1\nseed = 2", "cannot be read"),
        ("a = " + "[" * 5000, "cannot be read"),
        ("extends = 3", "extends must be the name of a preset"),
        ('extends = "nothing"', "preset 'nothing' is unknown"),
        ('extends = "nothing.toml"', "does not exist"),
        ("seed = 3", "Object missing required field `problem`"),
        (f"version = {VERSION + 1}", f"written by a newer evoplastic; this one reads up to {VERSION}"),
    ],
)
def test_a_file_that_is_none_is_refused(tmp_path, text, words):
    with pytest.raises(UserError, match=words.replace("[", r"\[")):
        read_config(file_of(tmp_path, text))


@pytest.mark.parametrize("name", ["missing.toml", "x" * 300 + ".toml", "a\0b.toml"])
def test_a_file_that_is_not_there_is_refused(name):
    with pytest.raises(UserError, match="does not exist"):
        read_config(name)


def test_a_file_that_is_no_text_is_refused(tmp_path):
    (tmp_path / "mine.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match="cannot be read"):
        read_config(str(tmp_path / "mine.toml"))


# ---- what decides a run's bits


@pytest.mark.parametrize(
    "override",
    ["name=x", "summary=x", "generations=7", "validation.every=1", "evaluation.lives=3", "checkpoints.seconds=1"],
)
def test_what_changes_no_bit_decides_nothing(override):
    assert deciding(read(override)) == deciding(read())
    assert difference(read(override), deciding(read())) is None


@pytest.mark.parametrize(
    "override",
    [
        "seed=1",
        "strategy.sigma=0.031",
        "problem.rule.eta=0.031",
        "problem.task.withheld=['or']",
        "problem.task.battery.name=boolean2-as-published",
        "problem.genome.innate.step=2.0",
        "problem.scored_trials=3",
    ],
)
def test_what_changes_bits_is_told_by_its_path(override):
    told = difference(read(override), deciding(read()))
    path = "problem.task.battery" if "battery" in override else override.partition("=")[0]
    assert told.startswith(path) and " was " in told and ", is " in told


def test_stored_settings_may_lack_a_key_that_stands_at_its_default():
    content = json.loads(deciding(read()))
    del content["problem"]["rule"]["clip"], content["strategy"]["optimizer"]
    stored = json.dumps(content)
    assert difference(read(), stored) is None
    assert difference(read("problem.rule.clip=1.0"), stored) == "problem.rule.clip was 0.01, is 1.0"


def test_the_order_of_a_battery_s_tasks_decides_since_halves_follow_it():
    forth, back = (
        read(f"problem.task.battery={{type='tables', tables={tables}}}", "problem.task.withheld=[]")
        for tables in ("{a='01', b='10'}", "{b='10', a='01'}")
    )
    told = difference(back, deciding(forth))
    assert told == "problem.task.battery.tables was ['a', 'b'], is ['b', 'a']"


# ---- any run file

FRACTION = st.floats(0.0, 1.0)
TEXT = st.text(max_size=8)
TABLE = {
    "name": TEXT,
    "summary": TEXT,
    "deviations": st.lists(TEXT, max_size=2),
    "seed": st.integers(0, 2**62),
    "generations": st.integers(1, 2**40),
    "strategy.population": st.integers(1, 400).map(lambda pairs: 2 * pairs),
    "strategy.sigma": st.floats(1e-300, 1e9),
    "strategy.shaping": st.sampled_from(["raw", "centered_rank"]),
    "strategy.weight_decay": FRACTION,
    "problem.network.units": st.integers(11, 20),
    "problem.network.dt_ms": st.sampled_from([20, 10.0, 4.0]),
    "problem.network.roles.echo": st.sampled_from([0, 2]),
    "problem.rule": st.fixed_dictionaries({"type": st.just("fixed")})
    | st.fixed_dictionaries(
        {"type": st.just("node_perturbation")},
        optional={"eta": FRACTION, "amplitude": FRACTION, "burn_in_trials": st.integers(0, 50)},
    ),
    "problem.modulation": st.sampled_from(
        [
            {"type": "loss"},
            {"type": "loss", "baseline": "single"},
            {"type": "none"},
            {"type": "network_controlled"},
            {"type": "reward", "baseline": "none"},
        ]
    ),
    "problem.task.battery": st.sampled_from(
        [
            {"type": "spec", "name": "boolean2-as-published"},
            {"type": "random_pairs", "stimuli": 3, "pairs": 3, "seed": 9},
            {"type": "tables", "tables": {'a "quoted" name': "01", "\x07": "10"}, "source": "here"},
        ]
    ),
    "problem.task.withheld": st.just([]),
    "problem.task.alternate_halves": st.just(False),
    "problem.task.feedback": st.sampled_from(["graded", "binary"]),
    "problem.task.tasks_per_life": st.integers(1, 3),
    "problem.task.levels.bias": st.floats(-1e9, 1e9),
    "problem.genome.innate.spread": FRACTION,
    "problem.genome.innate.bounds": st.tuples(st.floats(-9, -1), st.floats(1, 9)).map(list),
    "problem.genome.gain": st.just({"evolve": False, "initial": 0.0}),
    "validation.every": st.integers(0, 2**40),
    "evaluation.controls": st.lists(st.sampled_from(["all", "gains_shuffled"])),
    "checkpoints.seconds": st.floats(0, 1e9),
}


def laid(raw, path, value):
    """Return `raw` with `value` at a dotted path."""
    raw = copy.deepcopy(raw)
    *tables, last = path.split(".")
    table = raw
    for key in tables:
        table = table.setdefault(key, {})
    table[last] = value
    return raw


@FUZZ
@given(st.fixed_dictionaries({}, optional=TABLE))
def test_what_is_written_reads_back_equal(changes):
    raw = tomllib.loads(MINIMAL)
    for path, value in {"problem.network.units": 13, **changes}.items():
        raw = laid(raw, path, value)
    config = parse_config(raw)
    again = parse_config(tomllib.loads(write_toml(config)))
    assert again == config and difference(again, deciding(config)) is None
    assert write_toml(again) == write_toml(config)
    assert parse_config(tomllib.loads(tomli_w.dumps(raw))) == config


def paths(raw, prefix=""):
    for key, value in raw.items():
        yield f"{prefix}{key}"
        if isinstance(value, dict):
            yield from paths(value, f"{prefix}{key}.")


COMPLETE = tomllib.loads(write_toml(read("strategy.population=4")))
JUNK = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.integers(-5, 100)
    | st.floats(width=64)
    | st.text(max_size=6)
    | st.sampled_from(
        ["0110", "\udcff", "", "boolean2", "fixed", "loss", "network_controlled", "none", "reward", "spec"]
    )
    | st.lists(st.integers() | st.text(max_size=3), max_size=3)
    | st.dictionaries(st.sampled_from(["type", "name", "tables", "units", ""]), st.text(max_size=3), max_size=2)
)


MUTATION = st.tuples(st.sampled_from(list(paths(COMPLETE))), st.sampled_from(["set", "drop", "misspell"]), JUNK)


@FUZZ
@given(st.lists(MUTATION, min_size=1, max_size=3))
def test_a_broken_run_file_is_read_or_refused_and_nothing_else(mutations):
    raw = copy.deepcopy(COMPLETE)
    for path, change, junk in mutations:
        *tables, last = path.split(".")
        table = raw
        for key in tables:
            table = table.get(key, {}) if isinstance(table, dict) else {}
        if not isinstance(table, dict):
            continue
        if change == "set":
            table[last] = junk
        elif change == "drop":
            table.pop(last, None)
        else:
            table[last + "x"] = junk
    try:
        config = parse_config(raw)
    except UserError as error:
        assert str(error)
    else:
        assert all(math.isfinite(value) for value in numbers(msgspec.to_builtins(config)))


def numbers(value):
    if isinstance(value, dict):
        return itertools.chain.from_iterable(map(numbers, value.values()))
    if isinstance(value, (list, tuple)):
        return itertools.chain.from_iterable(map(numbers, value))
    return [value] if isinstance(value, (int, float)) else []
