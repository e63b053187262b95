"""The example of the docs, executed as it stands, on a copy of the reference run."""

import os
import re
import shutil
import subprocess
import sys

import pytest
from conftest import PACKAGE, ROOT

EXAMPLE = ROOT / "docs" / "examples" / "analyze_a_run.py"


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture(scope="module")
def said(tmp_path_factory):
    """What the example prints; it leaves nothing where it runs."""
    place = tmp_path_factory.mktemp("checkout")
    shutil.copytree(ROOT / "runs" / "reference", place / "runs" / "reference")
    before, temporary = contents(place), tmp_path_factory.mktemp("temporary")
    environment = {"PYTHONPATH": str(PACKAGE.parent), "TMPDIR": str(temporary)}
    done = subprocess.run(
        [sys.executable, EXAMPLE],
        cwd=place,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    assert contents(place) == before
    assert {path.suffix for path in temporary.rglob("*.*")} == {".png", ".npz"}
    return done.stdout


def test_it_tells_where_the_run_stands(said):
    assert "quickstart: generation 120 of 120, seed 0" in said and "withheld from evolution: dms, dnms" in said
    assert "generation 110, 2 lives a task: training 0.836, withheld 0.850" in said


def test_it_tells_what_the_center_is_worth(said):
    evolved, null, off = (
        float(re.search(rf"^{name}: (\S+) \[", said, re.MULTILINE)[1])
        for name in ("evolved", "generation_0", "plasticity_off")
    )
    assert evolved > null + 0.1 and abs(off - 0.5) < 0.04
    assert "n = 12 lives" in said


def test_it_draws_and_records(said):
    assert "drawn from the run's files: search, progress, conditions, tasks" in said
    assert "life x trial x step x unit = (4, 50, 50, 59)" in said


def test_it_opens_as_a_notebook():
    text = EXAMPLE.read_text()
    cells = re.split(r"^# %%", text, flags=re.MULTILINE)
    assert cells[0] == "" and sum(cell.startswith(" [markdown]") for cell in cells) >= 5
    for cell in cells[1:]:
        if cell.startswith(" [markdown]"):
            assert all(line.startswith("#") for line in cell.splitlines()[1:] if line)
