"""Comparisons: numbers against numpy by hand, intervals from ten seeds on, pairing by seed, and nothing left out."""

import json

import numpy as np
import pytest
from scipy import stats
from test_cli import main
from test_evolution import tiny
from test_launch import go, stop_after

from evoplastic.analysis.comparison import LeftOut, Outcome, compare
from evoplastic.analysis.comparison_arms import lacking
from evoplastic.analysis.comparison_table import sentences, tables
from evoplastic.analysis.comparison_verdict import verdict
from evoplastic.analysis.evaluation import EvaluationRequest, evaluate
from evoplastic.config import deciding, read_config
from evoplastic.errors import UserError
from evoplastic.evaluators.threads import Threads
from evoplastic.groups import open_group, outcomes
from evoplastic.launch import start_run
from evoplastic.sweeps import Sweep, plan

__all__ = ["main"]  # the fixture

RNG = np.random.default_rng(5)
SCORES = {name: RNG.uniform(0.4, 1.0, (12, 2)) for name in ("evolved", "generation_0", "plasticity_off")}  # seed, part
OTHER = {name: RNG.uniform(0.4, 1.0, (12, 2)) for name in SCORES}
PRIVILEGED = "It is told everything."


def scored(mean):
    return None if mean is None else {"mean": mean, "low": None, "high": None, "n": 2}


def evaluation(scores, **changes):
    """Return an `evaluate` object: condition -> (training, withheld)."""
    conditions = {
        name: {
            "training": scored(training),
            "withheld": scored(withheld),
            "tasks": {"or": scored(training), "dms": scored(withheld)},
        }
        for name, (training, withheld) in scores.items()
    }
    measured = {"metric": "accuracy", "trials_scored": 4, "lives": 2, "evaluation_seed": 0, "generation": 9}
    bounds = {"chance": 0.5, "random_policy": 0.5, "oracle": 1.0}
    told = {"withheld": ["dms"], "fold": "novel class", "privileged": PRIVILEGED}
    return {**measured, **bounds, **told, "conditions": conditions, **changes}


def arm(scores, seeds, label="a", settings=None, **changes):
    """Return the outcomes of an arm: condition -> (seed, part) scores."""
    return [
        Outcome(
            f"{label}-s{seed}",
            label,
            settings or label,
            seed,
            evaluation({name: values[seed].tolist() for name, values in scores.items()}, **changes),
        )
        for seed in seeds
    ]


# ---- numbers


@pytest.mark.parametrize("part", [0, 1])
def test_an_arm_is_the_mean_over_its_seeds_with_student_s_interval_from_ten_seeds_on(part):
    (told,) = compare(arm(SCORES, range(10)))["arms"]
    name = ("training", "withheld")[part]
    for condition, values in SCORES.items():
        sample = values[:10, part]
        low, high = stats.t.interval(0.95, 9, sample.mean(), stats.sem(sample))
        expected = {"mean": sample.mean(), "low": low, "high": high, "n": 10}
        assert told["conditions"][condition][name] == pytest.approx(expected, rel=1e-12)
        assert told["conditions"][condition]["by_seed"][name] == sample.tolist()


def test_with_nine_seeds_there_are_numbers_and_no_interval():
    result = compare([*arm(SCORES, range(9)), *arm(OTHER, range(12), "b")])
    nine, twelve = result["arms"]
    for told in (nine["conditions"]["evolved"], nine["gain_over_generation_0"], result["differences"][0]):
        assert told["training"]["low"] is None and told["withheld"]["high"] is None and told["training"]["n"] == 9
    assert twelve["conditions"]["evolved"]["training"]["low"] is not None
    assert len(nine["conditions"]["evolved"]["by_seed"]["training"]) == 9


def test_a_gain_over_generation_0_is_paired_by_seed():
    (told,) = compare(arm(SCORES, range(12)))["arms"]
    gains = SCORES["evolved"] - SCORES["generation_0"]
    low, high = stats.t.interval(0.95, 11, gains[:, 1].mean(), stats.sem(gains[:, 1]))
    expected = {"mean": gains[:, 1].mean(), "low": low, "high": high, "n": 12}
    assert told["gain_over_generation_0"]["withheld"] == pytest.approx(expected, rel=1e-12)


def test_arms_are_subtracted_by_the_seeds_that_both_have_whatever_the_order_of_runs():
    runs = [*arm(SCORES, range(10)), *arm(OTHER, range(11, 0, -1), "b")]
    result = compare(runs)
    (told,) = result["differences"]
    behind = OTHER["evolved"][1:10, 0] - SCORES["evolved"][1:10, 0]
    assert (told["arm"], told["minus"], told["seeds"]) == ("b", "a", list(range(1, 10)))
    np.testing.assert_allclose(told["by_seed"]["training"], behind, rtol=1e-12)
    assert told["training"]["mean"] == pytest.approx(behind.mean()) and told["training"]["n"] == 9
    assert compare([runs[0], *runs[:0:-1]])["differences"] == result["differences"]


def test_arms_without_a_common_seed_have_no_difference():
    (told,) = compare([*arm(SCORES, [0, 1]), *arm(OTHER, [2, 3], "b")])["differences"]
    assert told["seeds"] == [] and told["training"] is None and told["withheld"] is None


def test_a_lesion_counts_the_seeds_that_were_evaluated_with_it():
    some = [*arm(SCORES, [0, 1]), *arm({name: SCORES[name] for name in ("evolved", "generation_0")}, [2])]
    (told,) = compare(some)["arms"]
    assert told["conditions"]["plasticity_off"]["seeds"] == [0, 1] and told["seeds"] == [0, 1, 2]


def test_a_score_that_is_not_a_number_spoils_the_mean_and_is_null():
    runs = arm(SCORES, range(10))
    runs[3].evaluation["conditions"]["evolved"]["training"]["mean"] = None
    result = compare(runs)
    told = result["arms"][0]["conditions"]["evolved"]
    assert (
        told["training"] == {"mean": None, "low": None, "high": None, "n": 10}
        and told["by_seed"]["training"][3] is None
    )
    assert "not a number" in tables(result)[0][2]
    json.dumps(result, allow_nan=False)


def test_the_interquartile_mean_over_seeds_stands_beside_the_mean_and_has_an_interval_from_ten_on():
    """Of eleven seeds at 0, .1 ... 1 two are cut at each end; of nine there is no interval."""
    steps = {name: np.repeat(np.arange(12)[:, None] / 10, 2, axis=1) ** 2 for name in SCORES}
    told = {n: compare(arm(steps, range(n)))["arms"][0]["conditions"]["evolved"]["iqm"]["training"] for n in (9, 11)}
    assert told[11]["mean"] == pytest.approx(np.mean((np.arange(2, 9) / 10) ** 2)) and told[11]["n"] == 11
    assert told[11]["low"] < told[11]["mean"] < told[11]["high"]
    assert (told[9]["low"], told[9]["high"]) == (None, None)


def test_a_lesion_costs_what_the_evolved_genome_has_over_it_paired_by_seed():
    (told,) = compare(arm(SCORES, range(12)))["arms"]
    lost = SCORES["evolved"][:, 0] - SCORES["plasticity_off"][:, 0]
    assert list(told["lost_by_lesion"]) == ["plasticity_off"]
    np.testing.assert_allclose(told["lost_by_lesion"]["plasticity_off"]["by_seed"]["training"], lost, rtol=1e-12)


def test_every_seed_s_score_on_each_task_is_told_by_part():
    (told,) = compare(arm(SCORES, [4, 2]))["arms"]
    assert told["seeds"] == [2, 4]
    assert told["tasks"]["training"] == [{"or": SCORES["evolved"][seed, 0]} for seed in (2, 4)]
    assert told["tasks"]["withheld"] == [{"dms": SCORES["evolved"][seed, 1]} for seed in (2, 4)]


def test_validation_tasks_are_a_part_of_their_own_where_there_are_any():
    runs = arm(SCORES, range(3), validation=["or"])
    for run in runs:
        for condition in run.evaluation["conditions"].values():
            condition["validation"] = condition["training"]
    result = compare(runs)
    (told,) = result["arms"]
    assert told["conditions"]["evolved"]["validation"]["mean"] == pytest.approx(SCORES["evolved"][:3, 0].mean())
    assert told["tasks"]["training"] == [{}] * 3 and list(told["tasks"]["validation"][0]) == ["or"]
    assert tables(result)[0][0] == ("accuracy", "training tasks", "validation tasks", "withheld tasks", "seeds")
    assert len(cells(tables(result)[0])["chance"]) == 4 and tables(result)[1][2][1].count("/") == 2


def test_how_often_an_arm_is_better_is_counted_over_the_seeds_that_both_have():
    (told,) = compare([*arm(SCORES, range(10)), *arm(OTHER, range(4, 12), "b")])["differences"]
    ahead = OTHER["evolved"][4:10] > SCORES["evolved"][4:10]
    assert told["better"] == {"training": ahead[:, 0].sum(), "validation": None, "withheld": ahead[:, 1].sum()}


# ---- what an arm lacks


FULL = "icml2023-small"


@pytest.mark.parametrize(
    ("without", "lacks"),
    [
        ("gains-frozen", "the evolved gains"),
        ("weights-frozen", "the evolved weights"),
        ("plasticity-absent", "plasticity"),
        ("gain-scalar", "a gain for each synapse"),
        ("reward-only", None),
    ],
)
def test_what_an_arm_lacks_is_read_from_its_settings(without, lacks):
    full, other = (deciding(read_config(preset, seed=0)) for preset in (FULL, f"{FULL}-{without}"))
    assert lacking(full, other) == lacks and lacking(other, full) is None and lacking(full, full) is None


@pytest.mark.parametrize(
    "settings",
    [
        ["strategy.sigma=0.05"],  # something else differs too
        ["problem.genome.gain.spread=0.1"],  # frozen, not uniform
        ["problem.genome.gain.initial=0.0"],  # no plasticity to speak of
    ],
)
def test_an_arm_that_differs_in_more_than_the_ingredient_says_nothing_of_it(settings):
    other = deciding(read_config(f"{FULL}-gains-frozen", settings, seed=0))
    assert lacking(deciding(read_config(FULL, seed=0)), other) is None


def test_coefficients_of_the_rule_are_an_ingredient():
    evolved = deciding(read_config(FULL, ["problem.genome.rule={eta={}}"], seed=0))
    assert lacking(evolved, deciding(read_config(FULL, seed=0))) == "the evolved coefficients of the rule"


def with_and_without(seeds, gap, **changes):
    """Return a comparison of an arm with one whose gains are frozen and that scores `gap` less, by a seed's luck."""
    luck = np.linspace(-0.02, 0.02, 12)[::-1, None]
    less = {name: values - gap + luck for name, values in SCORES.items()}
    settings = [deciding(read_config(preset, seed=0)) for preset in (FULL, f"{FULL}-gains-frozen")]
    return compare([*arm(less, seeds, "frozen", settings[1], **changes), *arm(SCORES, seeds, "full", settings[0])])


def test_an_ingredient_is_worth_the_full_arm_minus_the_other_whatever_stands_first():
    (told,) = with_and_without(range(12), 0.1)["ingredients"]
    assert (told["lacks"], told["arm"], told["minus"]) == ("the evolved gains", "full", "frozen")
    assert told["training"]["mean"] == pytest.approx(0.1) and told["training"]["low"] > 0.08


def test_an_arm_that_evolved_shorter_or_withheld_other_tasks_says_nothing_of_an_ingredient():
    assert with_and_without(range(2), 0.1, generation=5)["ingredients"] == []
    assert with_and_without(range(2), 0.1, withheld=["or"])["ingredients"] == []


# ---- what may be said


def said(result, word):
    return [line for line in verdict(result) if word in line]


@pytest.mark.parametrize(
    ("gap", "claim"),
    [
        (0.1, "The evolved gains matter: "),
        (-0.1, "Without the evolved gains evolution comes further: "),
        (0.006, "That the evolved gains matter is not shown: "),  # a mean above 0, and an interval around it
    ],
)
def test_evolved_gains_matter_only_if_the_paired_interval_of_ten_seeds_says_so(gap, claim):
    (line,) = said(with_and_without(range(10), gap), "evolved gains")
    assert line.startswith(claim) and line.endswith("paired over 10 seeds.")
    assert line.count("[") == 2 and "full minus frozen" in line


@pytest.mark.parametrize("gap", [0.1, -0.1, 0.0])
def test_below_ten_seeds_nothing_is_claimed_and_the_numbers_stand(gap):
    result = with_and_without(range(9), gap)
    assert not any("[" in line for line in verdict(result))
    (line,) = said(result, "evolved gains")
    assert line.startswith("That the evolved gains matter is not shown: full minus frozen ")
    assert line.endswith("; 9 seeds are too few for an interval.")
    assert not any(line.startswith("full scores more") for line in verdict(result))


def test_without_the_arm_the_question_of_the_gains_is_left_open():
    runs = arm(SCORES, range(12), settings=deciding(read_config(FULL, seed=0)))
    (line,) = said(compare(runs), "gains")
    assert line.startswith("Whether the evolved gains matter is not answered")
    assert said(compare(arm(SCORES, range(12))), "gains") == []


def test_arms_that_differ_otherwise_are_told_apart_only_by_an_interval():
    worse = {name: values - 0.2 for name, values in SCORES.items()}
    (line,) = said(compare([*arm(SCORES, range(12)), *arm(worse, range(12), "b")]), "b scores less than a")
    assert "b minus a -.20 [-.20, -.20] on training tasks" in line
    apart = compare([*arm(SCORES, [0, 1]), *arm(worse, [2, 3], "b")])
    assert "b minus a: no seed in common." in verdict(apart)


def test_evolution_is_said_to_gain_on_the_parts_where_the_interval_is_above_0():
    gained = SCORES | {"evolved": SCORES["generation_0"] + [[0.1, 0.0]]}
    lines = verdict(compare(arm(gained, range(12))))
    assert lines[0].startswith("a scores more than its generation 0: gain +.10 [.10, .10] on training tasks, paired")
    assert lines[1].startswith(
        "That a scores more than its generation 0 is not shown: gain +.00 [.00, .00] on withheld"
    )


# ---- what is one arm


def test_arms_of_other_settings_do_not_merge_under_one_label():
    def with_sigma(sigma, runs):
        return [run._replace(settings=deciding(tiny(f"strategy.sigma={sigma}"))) for run in runs]

    result = compare([*with_sigma(0.1, arm(SCORES, [0, 1])), *with_sigma(0.2, arm(OTHER, [0, 1]))])
    assert [told["arm"] for told in result["arms"]] == ["a", "a #2"]
    assert result["notes"] == ["a #2 is not a: strategy.sigma was 0.1, is 0.2."]


def test_runs_of_other_length_are_another_arm():
    settings = deciding(tiny())
    result = compare([*arm(SCORES, [0], settings=settings), *arm(OTHER, [1], settings=settings, generation=20)])
    assert [told["generations"] for told in result["arms"]] == [9, 20]
    assert "a #2 is not a: generations was 9, is 20." in result["notes"]


def test_a_run_that_is_there_twice_counts_once():
    result = compare([*arm(SCORES, [0, 1]), *arm(SCORES, [1], "b", settings="a")])
    (told,) = result["arms"]
    assert told["seeds"] == [0, 1]
    assert result["left_out"] == [{"run": "b-s1", "reason": "the same run as a-s1, which counts once"}]


# ---- what is not mixed


def test_arms_that_withhold_other_tasks_are_not_subtracted():
    other = {"withheld": ["or"], "fold": "relabelled"}
    runs = [*arm(SCORES, [0]), *arm(OTHER, [0], "b", **other), *arm(OTHER, [0], "c"), *arm(SCORES, [0], "d", **other)]
    result = compare(runs)
    assert [(told["arm"], told["minus"]) for told in result["differences"]] == [("c", "a"), ("d", "b")]
    assert any("not subtracted" in note for note in result["notes"])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"lives": 64}, "evaluated on different numbers of lives per task: 2, 64."),
        ({"evaluation_seed": 7}, "from the evaluation seeds: 0, 7."),
        ({"trials_scored": 50}, "scored over different numbers of trials: 4, 50."),
    ],
)
def test_runs_that_were_evaluated_otherwise_are_named(change, words):
    result = compare([*arm(SCORES, [0]), *arm(OTHER, [0], "b", **change)])
    assert any(words in note for note in result["notes"]) and any(words in line for line in sentences(result))


def test_arms_of_different_metrics_are_refused():
    with pytest.raises(UserError, match=r"different metrics \(a by accuracy, b by reward\); compare them apart"):
        compare([*arm(SCORES, [0]), *arm(OTHER, [0], "b", metric="reward")])


def test_a_run_that_is_not_exact_is_named():
    (run,) = arm(SCORES, [0])
    assert "a-s0 is not exact: 3 members" in compare([run._replace(skipped=3)])["notes"][0]


def test_where_nothing_is_finished_there_is_nothing_to_compare():
    with pytest.raises(UserError, match="no finished run to compare: x is unfinished, at generation 2 of 4"):
        compare([], [LeftOut("x", "unfinished, at generation 2 of 4")])


# ---- tables


def cells(table):
    return {row[0].strip(): row[1:] for row in table}


def test_the_table_has_every_condition_and_the_bounds():
    arms, *others = tables(compare(arm(SCORES, range(10))))
    assert others == []
    rows = cells(arms)
    assert list(rows) == [
        "accuracy",
        "a",
        "evolved",
        "evolved, IQM",
        "generation 0",
        "plasticity off",
        "gain over generation 0",
        "chance",
        "oracle",
    ]
    assert rows["a"] == ("", "novel class", "") and rows["chance"] == (".50", ".50", "") and rows["evolved"][2] == "10"
    assert rows["evolved"][0].count("[") == 1 and rows["gain over generation 0"][0][0] in "+-"


def test_a_random_policy_is_shown_where_it_is_not_chance():
    rows = cells(tables(compare([*arm(SCORES, [0], random_policy=0.3), *arm(OTHER, [0], "b")]))[0])
    assert rows["random policy"] == (".30", ".30", "")
    rows = cells(tables(compare([*arm(SCORES, [0], chance=0.3), *arm(OTHER, [0], "b")]))[0])
    assert rows["chance of a"][0] == ".30" and rows["chance of b"][0] == ".50"


def test_below_ten_seeds_each_seed_s_numbers_are_printed():
    flat = {name: np.full((12, 2), [0.25, 0.5]) for name in SCORES} | {"evolved": np.full((12, 2), [0.75, 0.25])}
    _, differences, seeds = tables(compare([*arm(flat, range(10)), *arm(flat, [4, 8], "b")]))
    few_pairs = tables(compare([*arm(flat, range(10)), *arm(flat, range(2, 12), "b")]))[2]
    assert few_pairs[1][0] == "b" and len(few_pairs) == 12 and few_pairs[-1][-1] == ""
    assert cells(differences)["b minus a"] == ("+.00", "+.00", "2")
    assert [row[0] for row in seeds] == ["training/withheld", "b", "  seed 4", "  seed 8"]
    assert seeds[2][1:] == (".75/.25", ".25/.50", ".25/.50", "+.50/-.25", "+.00/+.00")


def test_without_withheld_tasks_their_column_is_empty():
    runs = arm(SCORES, [0], withheld=[], fold="nothing withheld")
    for condition in runs[0].evaluation["conditions"].values():
        condition["withheld"] = None
    result = compare(runs)
    assert result["arms"][0]["gain_over_generation_0"]["withheld"] is None
    assert cells(tables(result)[0])["evolved"][1] == "" and "/" not in tables(result)[1][2][1]
    assert sentences(result)[0] == "Nothing withheld."


def test_folds_and_privileges_are_told_once_each():
    runs = [*arm(SCORES, [0]), *arm(OTHER, [0], "b"), *arm(OTHER, [0], "c", withheld=["or"], fold="relabelled")]
    lines = sentences(compare(runs, [LeftOut("d", "not started")]))
    assert lines[:3] == ["Withheld dms: novel class.", "Withheld or: relabelled.", PRIVILEGED]
    assert lines.count(PRIVILEGED) == 1 and lines[-1] == "Left out: d (not started)."


# ---- runs on disk


def finished(folder, name, config, tasks=None):
    """Leave an evaluated run without the pictures."""
    run = go(start_run(config, folder, name))
    request = EvaluationRequest(2, ("plasticity_off",), tasks)
    made = evaluate(run.search, run.center, Threads(run.search.problem, 1), request).result
    run.folder.save_evaluation(2, {"run": name, "generation": 2, **made})
    return made


@pytest.fixture(scope="module")
def group(tmp_path_factory):
    """A group of six cells: two done, one half, one not evaluated, one evaluated in part, one not started."""
    runs = tmp_path_factory.mktemp("runs")
    open_group(runs, "g", plan(Sweep(["quickstart"], "0:5")), ())
    made = [finished(runs / "g", f"s{seed}", tiny(generations=2, seed=seed)) for seed in (1, 0)]
    go(start_run(tiny(generations=2, seed=2), runs / "g", "s2"), **stop_after(1))
    go(start_run(tiny(generations=2, seed=3), runs / "g", "s3"))
    finished(runs / "g", "s4", tiny(generations=2, seed=4), ("or",))
    return runs, made


def test_runs_are_compared_from_disk_as_numpy_would(main, group):
    runs, made = group
    said = main("compare", "g", "--runs-dir", runs, "--json")
    assert said.code == 0 and "Left out" in said.err
    (told,) = json.loads(said.out)["arms"]
    assert (told["arm"], told["seeds"], told["lives"]) == ("tiny", [0, 1], [2])
    values = [each["conditions"]["evolved"]["training"]["mean"] for each in made]
    assert told["conditions"]["evolved"]["training"]["mean"] == np.mean(values)
    assert json.loads(said.out)["format"] == "evoplastic.compare"


def test_runs_that_are_not_there_yet_are_named_with_the_reason(group):
    runs, _ = group
    _, missing = outcomes(["g"], runs)
    reasons = {left.run.rpartition("/")[2]: left.reason for left in missing}
    assert reasons == {
        "s2": "unfinished, at generation 1 of 2",
        "s3": f"not evaluated on all tasks; do that with evoplastic evaluate {runs / 'g' / 's3'}",
        "s4": f"not evaluated on all tasks; do that with evoplastic evaluate {runs / 'g' / 's4'}",
        "s5": "not started",
    }


def test_a_cell_that_cannot_be_read_is_named_and_the_others_are_compared(group, tmp_path):
    runs, _ = group
    path = runs / "g" / "s3" / "config.toml"
    kept = path.read_text()
    try:
        path.write_text("[")
        found, missing = outcomes([runs / "g"])
    finally:
        path.write_text(kept)
    assert len(found) == 2 and any("could not be read" in left.reason for left in missing)


def test_single_runs_are_arms_by_their_names(group):
    runs, _ = group
    found, _ = outcomes([runs / "g" / "s0", runs / "g" / "s1"])
    assert [(run.arm, run.seed) for run in found] == [("tiny", 0), ("tiny", 1)]
    assert found[0].settings == found[1].settings == deciding(tiny())


def test_the_newest_evaluation_of_all_tasks_counts(group, tmp_path):
    made = finished(tmp_path, "r", tiny(generations=2))
    run = tmp_path / "r"
    (folder,) = (outcome.run for outcome in outcomes([run])[0])
    assert folder == str(run)
    later = json.dumps({"run": "r", "generation": 2, **made, "lives": 3})
    (run / "evaluation" / "gen-00000002-2.json").write_text(later)
    assert outcomes([run])[0][0].evaluation["lives"] == 3


def test_what_is_neither_group_nor_run_is_refused(main, tmp_path):
    said = main("compare", "missing", "--runs-dir", tmp_path)
    assert said.code == 2 and "'missing' is not a run folder" in said.err and said.err.count("\n") == 1
