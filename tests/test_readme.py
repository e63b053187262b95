"""The README is true where a machine can tell."""

import ast
import re
from pathlib import Path

import pytest

from evoplastic.cli import app
from evoplastic.config import preset_names, read_config

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def test_every_linked_file_exists():
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", README) if "://" not in link]
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


@pytest.mark.parametrize("block", blocks("toml"))
def test_every_run_file_in_it_is_accepted(tmp_path, block):
    path = tmp_path / "mine.toml"
    path.write_text(block if "extends" in block else f'extends = "icml2023-small"\n\n{block}')
    assert read_config(str(path)).problem.task.training()


@pytest.mark.parametrize("block", blocks("python"))
def test_the_names_its_python_uses_exist(block):
    import evoplastic

    names = {
        node.attr
        for node in ast.walk(ast.parse(block))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "evoplastic"
    }
    assert names and names <= set(evoplastic.__all__)
    assert all(hasattr(evoplastic, name) for name in names)


def test_every_preset_and_command_it_names_exists():
    commands = {command.name or command.callback.__name__ for command in app.registered_commands} | {"tasks"}
    used = set(re.findall(r"evoplastic (\w+)", " ".join(re.findall(r"^    .*|`[^`]+`", README, flags=re.MULTILINE))))
    assert used and used <= commands
    named = set(re.findall(r"\b(?:quickstart|icml2023[\w-]*)\b", README)) - {"quickstart-s0"}
    assert {name for name in named if not re.search(r"-s\d+$", name)} <= set(preset_names())


def test_nothing_is_left_to_fill_in():
    assert "@@" not in README
