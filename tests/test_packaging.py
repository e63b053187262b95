"""What a user installs: equal pins everywhere, free licences, and a wheel that works far from the checkout."""

import importlib.metadata
import os
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from email.message import Message
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
TOP_LEVEL = {
    canonicalize_name(wanted.name): wanted
    for wanted in map(Requirement, PROJECT["dependencies"] + PROJECT["optional-dependencies"]["dev"])
}


def read_pins(file):
    """Return {canonical name: Requirement} of every `name==version` line, also of those in a YAML list."""
    lines = re.findall(r"^(?: *- )?([A-Za-z0-9._-]+==.+)$", (ROOT / file).read_text(), re.MULTILINE)
    found = [Requirement(line) for line in lines]
    pins = {canonicalize_name(pin.name): pin for pin in found}
    assert len(pins) == len(found), f"{file} pins a package twice"
    return pins


LOCKED = read_pins("requirements.txt")


def test_conda_users_get_the_same_pins():
    pins = read_pins("environment.yml")
    assert {name: str(pin) for name, pin in pins.items()} == {name: str(LOCKED[name]) for name in TOP_LEVEL}
    assert f"- python{PROJECT['requires-python']}\n" in (ROOT / "environment.yml").read_text()


def test_pins_lie_within_the_declared_ranges():
    for name, wanted in TOP_LEVEL.items():
        (pin,) = LOCKED[name].specifier
        assert wanted.specifier.contains(pin.version), f"{wanted} against {pin}"
        assert any(bound.operator == ">=" for bound in wanted.specifier), f"{wanted} has no lower bound"


def test_the_next_numba_is_not_taken_untried():
    assert any(bound.operator == "<" for bound in TOP_LEVEL["numba"].specifier)


FREE = {
    *("0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "BSL-1.0", "CC0-1.0", "HPND", "ISC", "MIT", "MIT-CMU"),
    *("MPL-2.0", "PSF-2.0", "Python-2.0", "Unlicense", "Zlib"),
}
# Older packages have no SPDX expression but a classifier, or only a free field.
FREE_CLASSIFIERS = {
    "Apache Software License",
    "BSD License",
    "ISC License (ISCL)",
    "MIT License",
    "Mozilla Public License 2.0 (MPL 2.0)",
    "Python Software Foundation License",
    "The Unlicense (Unlicense)",
}
FREE_FIELDS = FREE | {"3-Clause BSD License", "Apache 2.0", "BSD"}


def is_free(metadata):
    """Say whether a distribution names only free licences, by the first of its three places that is filled."""
    if expression := metadata.get("License-Expression"):
        names = set(re.split(r" AND | OR ", re.sub(r" WITH [\w.-]+|[()]", "", expression)))
        # A choice is free if one side is; a mixture of "and" and "or" only if all of it is.
        return names <= FREE or (" AND " not in expression and bool(names & FREE))
    classifiers = [line.split(" :: ")[-1] for line in metadata.get_all("Classifier", []) if line.startswith("License")]
    return set(classifiers) <= FREE_CLASSIFIERS if classifiers else metadata.get("License") in FREE_FIELDS


def test_third_party_licences_are_free():
    needed_here = [name for name, pin in LOCKED.items() if pin.marker is None or pin.marker.evaluate()]
    assert len(needed_here) > len(TOP_LEVEL)
    assert [name for name in needed_here if not is_free(importlib.metadata.metadata(name))] == []


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("License-Expression", "GPL-3.0-only"),
        ("License-Expression", "GPL-3.0-or-later AND (MIT OR Apache-2.0)"),
        ("License", "GPLv3"),
        ("License", None),
        ("Classifier", "License :: OSI Approved :: GNU General Public License v3 (GPLv3)"),
    ],
)
def test_other_licences_are_noticed(field, value):
    metadata = Message()
    if value:
        metadata[field] = value
    assert not is_free(metadata)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    return build("wheel", tmp_path_factory.mktemp("dist"))


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """A folder that holds the installed wheel and nothing else."""
    target = tmp_path_factory.mktemp("site")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--no-compile"]
    subprocess.run([*pip, "--target", str(target), str(wheel)], check=True)
    return target


def build(kind, folder):
    """Build the wheel or sdist with the pinned backend, without network."""
    command = [sys.executable, "-m", "hatchling", "build", "--target", kind, "--directory", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (built,) = folder.iterdir()
    return built


def files_of(folder, pattern):
    found = {path.relative_to(ROOT).as_posix() for path in (ROOT / folder).rglob(pattern) if path.is_file()}
    assert found, f"{folder} holds no {pattern}"
    return found


def test_wheel_holds_the_code_and_all_its_data(wheel):
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    expected = files_of("evoplastic", "*.py") | files_of("evoplastic/presets", "*.toml") | {"evoplastic/py.typed"}
    expected |= {f"evoplastic/{name}" for name in files_of("task_specs", "*.*")}
    assert expected <= names
    assert all(name.startswith("evoplastic/") for name in names)


def test_sdist_can_be_built_into_the_wheel(tmp_path):
    with tarfile.open(build("sdist", tmp_path)) as archive:
        names = {name.split("/", 1)[1] for name in archive.getnames()}
    assert files_of("task_specs", "*.*") | {"pyproject.toml", "README.md", "LICENSE"} <= names
    assert not any(name.startswith("runs/") for name in names)


def run_installed(installed, *arguments):
    """Run this interpreter from `/` with the installed wheel ahead of an editable install; return its stdout."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    environment["PYTHONPATH"] = str(installed)
    command = [sys.executable, "-P", *arguments]
    done = subprocess.run(command, cwd="/", env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_checkout_is_out_of_sight(installed):
    code = "import evoplastic; print(evoplastic.__file__, evoplastic.__version__)"
    file, version = run_installed(installed, "-c", code).split()
    assert Path(file).is_relative_to(installed)
    assert version == importlib.metadata.version("evoplastic")


def test_installed_wheel_lists_tasks(installed):
    listed = run_installed(installed, "-m", "evoplastic", "tasks", "list")
    assert "boolean2" in listed and "t-maze" in listed


def test_installed_wheel_evolves(installed, tmp_path):
    # The smallest network for two generations says that all parts are there, not that it learns.
    run = ["run", "quickstart", "--generations", "2", "--set", "problem.network.units=20"]
    run_installed(installed, "-m", "evoplastic", *run, "--runs-dir", str(tmp_path))
    (metrics,) = tmp_path.glob("*/metrics.jsonl")
    assert len(metrics.read_text().splitlines()) == 2
