"""The analysis of a run as files: a page that needs nothing but itself, and numbers for machines."""

import base64
import errno
import json
import re
from html.parser import HTMLParser
from io import BytesIO

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread
from test_cli_tasks import main
from test_evolution import TINY

from evoplastic.analysis.report import report_files
from evoplastic.analysis.sections import SECTIONS, Section
from evoplastic.config import read_config
from evoplastic.evaluators.threads import Threads
from evoplastic.launch import carry_on, start_run
from evoplastic.stop import StopRequest

__all__ = ["main"]  # the fixture


TABLE = [("a", "b"), ("1", "2")]


def sections():
    figure = Figure()
    figure.subplots().plot([0, 1])
    return {
        "first": Section(
            "What <b>is</b> it", ["A & B."], {"line": figure}, [("a", "b"), ("1", "2")], {"n": np.int64(3)}
        ),
        "second": Section("Nothing to draw", ["So it is."], numbers={"none": float("nan")}),
    }


class Page(HTMLParser):
    """What a page refers to, and its tags."""

    def __init__(self, text):
        super().__init__()
        self.references, self.tags, self.meta, self.open = [], [], {}, []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.tags.append(tag)
        self.references += [found[name] for name in ("src", "href", "action", "data") if name in found]
        if tag == "meta" and "name" in found:
            self.meta[found["name"]] = found["content"]
        if tag not in ("meta", "img", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, f"</{tag}> closes nothing"


@pytest.fixture(scope="module")
def page():
    return Page(report_files("a run", "of <nobody>", sections(), html=True)["report.html"].decode())


def test_a_page_refers_to_nothing_but_itself(page):
    assert page.references and all(to.startswith(("data:image/png;base64,", "#")) for to in page.references)
    text = report_files("a run", "x", sections(), html=True)["report.html"].decode()
    assert not re.search(r"url\(|@import|https?:", text)


def test_a_page_needs_no_script_and_fits_screens_and_colour_schemes(page):
    assert page.open == [] and "script" not in page.tags
    assert "width=device-width" in page.meta["viewport"] and page.meta["color-scheme"] == "light dark"


def test_every_picture_of_a_page_decodes_and_has_words(page):
    (picture,) = [to for to in page.references if to.startswith("data:")]
    pixels = imread(BytesIO(base64.b64decode(picture.partition(",")[2])))
    assert pixels.ndim == 3 and pixels.std() > 0


def test_what_a_run_is_called_cannot_break_out_of_the_page():
    text = report_files("<script>alert(1)</script>", "x", sections(), html=True)["report.html"].decode()
    assert "<script" not in text and "&lt;script&gt;" in text and "What &lt;b&gt;is&lt;/b&gt; it" in text


def test_every_section_can_be_reached_from_the_top(page):
    assert [to for to in page.references if to.startswith("#")] == ["#first", "#second"]
    assert page.tags.count("section") == 2 and page.tags.count("table") == 1


def test_equal_sections_give_equal_files_and_the_page_is_left_out_on_request():
    assert report_files("a", "b", sections(), True) == report_files("a", "b", sections(), True)
    assert set(report_files("a", "b", sections(), False)) == {"line.png", "line.svg", "summary.json"}


def test_the_summary_is_json_that_any_reader_takes():
    told = json.loads(report_files("a", "b", sections(), False)["summary.json"])
    assert (told["format"], told["version"], told["run"]) == ("evoplastic.analysis", 1, "a")
    assert told["sections"]["first"]["n"] == 3 and told["sections"]["second"]["none"] is None
    assert told["sections"]["first"]["sentences"] == ["A & B."]


def evolved_in(folder, preset, settings, generations):
    """Return the folder of a small run at its end."""
    run = start_run(read_config(preset, settings, generations=generations), folder, "tiny")
    evaluator = Threads(run.search.problem, 1)
    with run.folder.lock():
        carry_on(run, evaluator, StopRequest())
    evaluator.close()
    return run.folder.path


@pytest.fixture(scope="module")
def evolved(tmp_path_factory):
    return evolved_in(tmp_path_factory.mktemp("runs"), "quickstart", TINY, 2)


def test_a_run_is_analysed_into_its_folder(main, evolved):
    said = main("analyze", evolved, "--lives", 2, "--record", 3, "--workers", 1, "--json")
    assert said.code == 0, said.err
    files = {path.name for path in (evolved / "report").iterdir() if path.name != "lives"}
    assert {path.rpartition("/")[2] for path in json.loads(said.out)["files"]} == files
    assert {"report.html", "summary.json", "weights.png", "weights.svg", "learning.png"} <= files
    told = json.loads((evolved / "report" / "summary.json").read_text())
    assert list(told["sections"]) == list(SECTIONS)
    assert told["sections"]["course"]["evaluation"]["generation"] == 2
    Page((evolved / "report" / "report.html").read_text())


def written(run):
    return {path.name: path.read_bytes() for path in (run / "report").iterdir() if path.name != "lives"}


def test_a_second_analysis_lives_nothing_and_writes_the_same_bytes(main, evolved, monkeypatch):
    words = ("analyze", evolved, "--lives", 2, "--record", 3, "--workers", 1)
    assert main(*words).code == 0
    before = written(evolved)

    def refuse(self, candidates, jobs, measure="score"):
        raise AssertionError(f"{len(jobs)} lives are lived again")

    with monkeypatch.context() as patched:
        patched.setattr(Threads, "evaluate", refuse)
        assert main(*words).code == 0
        with pytest.raises(AssertionError, match="lived again"):
            main(*words, "--fresh")
    assert written(evolved) == before


def test_a_run_is_told_beside_arms_that_are_named(main, evolved, tmp_path):
    frozen = evolved_in(tmp_path, "quickstart", [*TINY, "problem.genome.gain.evolve=false"], 2)
    for run in (evolved, frozen):
        assert main("evaluate", run, "--lives", 2, "--workers", 1).code == 0
    assert main("analyze", evolved, "--lives", 2, "--record", 3, "--workers", 1, "--arm", frozen).code == 0
    told = json.loads((evolved / "report" / "summary.json").read_text())["sections"]["arms"]
    assert [arm["seeds"] for arm in told["compared"]["arms"]] == [[0], [0]]
    assert any("too few" in sentence for sentence in told["sentences"])


@pytest.mark.parametrize(
    ("group", "words"),
    [
        ('{"format": "evoplastic.group", "version": 1, "cells": []}', "there is no finished run to compare"),
        ("[", "could not be read as JSON"),
    ],
)
def test_a_run_whose_group_says_nothing_yet_or_is_damaged_is_analysed(main, tmp_path, group, words):
    run = evolved_in(tmp_path, "quickstart", TINY, 1)
    (tmp_path / "group.json").write_text(group)
    assert main("analyze", run, "--lives", 1, "--record", 2, "--workers", 1, "--no-html").code == 0
    (said,) = json.loads((run / "report" / "summary.json").read_text())["sections"]["arms"]["sentences"]
    assert said.startswith("Not answered: ") and words in said


def test_arms_that_are_named_and_cannot_be_compared_are_refused(main, evolved, tmp_path):
    bare = evolved_in(tmp_path, "quickstart", TINY, 1)
    said = main("analyze", evolved, "--arm", tmp_path / "nowhere")
    assert said.code == 2 and "is not a run folder" in said.err
    said = main("analyze", bare, "--arm", bare)
    assert said.code == 2 and "there is no finished run to compare" in said.err


def test_what_an_earlier_analysis_left_is_gone(main, evolved):
    folder = evolved / "report"
    folder.mkdir(exist_ok=True)
    (folder / "of-another-time.png").write_bytes(b"")
    said = main("analyze", evolved, "--lives", 1, "--record", 3, "--workers", 1, "--no-html")
    assert said.code == 0, said.err
    left = {path.name for path in folder.iterdir()}
    assert "summary.json" in left and not left & {"of-another-time.png", "report.html"}


SHORT = ["problem.task.trials=6", "problem.scored_trials=3", "lifetimes.per_member=1", "validation.lives=2"]


@pytest.mark.parametrize(
    ("preset", "settings", "words"),
    [
        ("cue-reward", [*SHORT, "strategy.population=4"], "no truth tables"),
        ("dependent-bandit-q-learning", ["validation.lives=2"], "Not answered: a recording is of networks"),
    ],
)
def test_a_run_of_another_kind_is_analysed_as_far_as_it_can_be(main, tmp_path, preset, settings, words):
    path = evolved_in(tmp_path, preset, settings, 1)
    said = main("analyze", path, "--lives", 2, "--record", 2, "--workers", 1)
    assert said.code == 0, said.err
    told = json.loads((path / "report" / "summary.json").read_text())["sections"]
    assert any(words in sentence for section in told.values() for sentence in section["sentences"])
    assert told["course"]["evaluation"]["lives"] == 2


def test_a_folder_that_cannot_be_written_is_told_before_anything_is_lived(main, evolved, monkeypatch):
    def refuse(self, **kwargs):
        raise OSError(errno.EROFS, "read-only")

    monkeypatch.setattr("evoplastic.analyses.Path.mkdir", refuse)
    monkeypatch.setattr("evoplastic.analyses.evaluate", None)  # would be called after
    said = main("analyze", evolved)
    assert said.code == 2 and "report could not be written: the folder is read-only" in said.err


def test_a_run_that_has_evolved_nothing_is_refused(main, tmp_path):
    run = start_run(read_config("quickstart", TINY), tmp_path / "runs", "new").folder.path
    said = main("analyze", run)
    assert said.code == 2 and said.err == (
        "evoplastic: run 'new' stands at generation 0, so nothing has evolved; carry it on with resume\n"
    )
