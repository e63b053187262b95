"""An analysis in a browser: nothing goes wrong, nothing sticks out, and it can be read, wide or narrow, light or dark.

Screenshots are left in the folder $BROWSER_SHOTS, else in a temporary one whose name is printed: look at them.
"""

import os
import shutil
import subprocess
import sys
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from browser import NAMES, Chromium, find_chromium
from conftest import PACKAGE, ROOT
from matplotlib.image import imread
from test_report import sections

from evoplastic.analysis.canvas import canvas
from evoplastic.analysis.report import report_files
from evoplastic.analysis.sections import Section

pytestmark = pytest.mark.browser

WIDTHS, SCHEMES = (1280, 400), ("light", "dark")
ENOUGH = 4.5  # WCAG 2.2, level AA: contrast of text


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    program = find_chromium()
    if program is None:
        pytest.skip(f"no browser on PATH; install one of {', '.join(NAMES)}")
    with Chromium(program, tmp_path_factory.mktemp("profile")) as browser:
        yield browser


@pytest.fixture(scope="module")
def shots(tmp_path_factory):
    chosen = os.environ.get("BROWSER_SHOTS")
    folder = Path(chosen).absolute() if chosen else tmp_path_factory.mktemp("shots")
    folder.mkdir(parents=True, exist_ok=True)
    yield folder
    print(f"\nscreenshots: {folder}")


def made_up(folder):
    """A page with all that a section may hold, larger than a real one: a wide table, long words, a long name."""
    word = "problem.genome.rule.coefficients_of_every_projection=" + "0.001," * 30
    figure = canvas(10.5, 4.0, "A wide picture", "Made up.", columns=3)
    for axes in figure.axes:
        axes.plot([0, 1])
    table = [tuple(f"column {place}" for place in range(14)), *[(".84 [.82, .85]",) * 14] * 3]
    more = {
        "wide": Section("A section with a long name that goes on", [word, "A sentence. " * 40], {"wide": figure}, table)
    }
    path = folder / "report.html"
    name = "icml2023-small-gains-frozen," + "strategy.sigma=0.02," * 4 + "s100"
    path.write_bytes(report_files(name, word, sections() | more, html=True)["report.html"])
    return path


def of_the_reference(folder):
    """The page that the command makes of a copy of the reference run."""
    run = folder / "runs" / "reference"
    shutil.copytree(ROOT / "runs" / "reference", run)
    words = [sys.executable, "-m", "evoplastic", "analyze", run]
    environment = {**os.environ, "PYTHONPATH": str(PACKAGE.parent)}
    done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, timeout=1800)
    assert done.returncode == 0, done.stderr
    return run / "report" / "report.html"


@pytest.fixture(scope="module", params=[made_up, of_the_reference])
def shown(request, chromium, shots, tmp_path_factory):
    """A page at every width under every colour scheme; its screenshots are kept."""
    name = request.param.__name__
    page = request.param(tmp_path_factory.mktemp(name))
    views = {(width, scheme): chromium.show(page, width, scheme) for width in WIDTHS for scheme in SCHEMES}
    for (width, scheme), view in views.items():
        (shots / f"{name}-{width}-{scheme}.png").write_bytes(view.png)
    return views


def test_a_page_opens_without_errors_and_asks_for_nothing(shown):
    assert {view: page.problems for view, page in shown.items() if page.problems} == {}


def test_a_page_fits_a_wide_and_a_narrow_window(shown):
    sticking = {view: page.sticking_out for view, page in shown.items() if page.width > view[0] or page.sticking_out}
    assert sticking == {}


def test_a_page_can_be_read(shown):
    assert {view: page.contrasts[0] for view, page in shown.items() if page.contrasts[0][0] < ENOUGH} == {}
    assert {view: page.smallest_text for view, page in shown.items() if page.smallest_text < 12.0} == {}


def test_a_page_is_dark_where_the_user_s_screen_is(shown):
    def paper(view):
        """The luminance of the page's left edge, where there is nothing but paper."""
        return float(np.mean(imread(BytesIO(shown[view].png))[:, :4, :3]))

    assert all(paper((width, "light")) > 0.9 and paper((width, "dark")) < 0.2 for width in WIDTHS)


BROKEN = {
    "a script error": ("<script>null.x</script>", "script error: TypeError"),
    "an error on the console": ("<script>console.error('oh')</script>", "console: "),
    "a picture that is not there": ("<img src='missing.png' alt=''>", "request: "),
    "another site": ("<img src='http://127.0.0.1:9/x.png' alt=''>", "request: http://127.0.0.1:9/x.png"),
}


@pytest.mark.parametrize("broken", BROKEN)
def test_a_broken_page_is_noticed(chromium, tmp_path, broken):
    html, words = BROKEN[broken]
    page = tmp_path / "broken.html"
    page.write_text(f"<!doctype html><title>x</title><body>{html}</body>")
    assert any(problem.startswith(words) for problem in chromium.show(page, 400, "light").problems)


def test_what_sticks_out_and_what_cannot_be_read_is_noticed(chromium, tmp_path):
    page = tmp_path / "wide.html"
    boxed = "<div style='overflow-x: auto'><p style='width: 900px'>In a box of its own</p></div>"
    faint = "<p style='color: #999; background: #fff; font-size: 9px'>Faint</p>"
    as_wide = "<meta name='viewport' content='width=device-width'>"
    wide = "<p style='width: 700px'>Wide</p><p>" + "x" * 200
    page.write_text(f"<!doctype html>{as_wide}<title>x</title><body>{boxed}{faint}{wide}</p></body>")
    view = chromium.show(page, 400, "light")
    assert view.width > 400 and view.sticking_out == ["P: Wide", "P: " + "x" * 40]
    assert view.contrasts[0][0] == pytest.approx(2.85, abs=0.01) and view.smallest_text == 9.0
