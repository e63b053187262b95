"""Run files: TOML <-> frozen, validated settings.

A run file names a preset to start from (`extends`) and what differs, or everything. Reading fills in all defaults and
reads outside files in, so the `config.toml` of a run folder is complete. Unknown keys are refused.
"""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Union

import msgspec
import tomli_w

from evoplastic.contracts import with_plugin
from evoplastic.errors import UserError, nearest
from evoplastic.explaining import explained
from evoplastic.problems import PROBLEMS
from evoplastic.problems.contract import ProblemSettings, choose_lesions
from evoplastic.strategies import STRATEGIES
from evoplastic.strategies.repeats import LifetimeSettings
from evoplastic.strategies.restarts import RestartSettings

PRESETS = Path(__file__).resolve().parent / "presets"
FORMAT, VERSION = "evoplastic.run", 1
LARGEST = 1e12  # size of a fraction; kernels are float32

Count = Annotated[int, msgspec.Meta(ge=0)]
Positive = Annotated[int, msgspec.Meta(ge=1)]
Sha256 = Annotated[str, msgspec.Meta(pattern="^([0-9a-f]{64})?$")]


class ValidationSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Re-evaluation of the center while evolution goes on; it changes nothing in the evolution."""

    every: Count = 20  # generations; 0: never
    lives: Positive = 2  # per task


class EvaluationSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The evaluation at the end of a run."""

    lives: Positive = 16  # per task and condition
    controls: tuple[str, ...] = ("plasticity_off",)  # lesions of the problem, or all


class EliteSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Members that are kept beside the center; which of them is best, lives of their own tell at the end."""

    keep: Count = 0  # of the best members of all generations
    lives: Positive = 16  # per task


class CheckpointSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The last generation and every interruption write a checkpoint; otherwise at most one in `seconds`."""

    seconds: Annotated[float, msgspec.Meta(ge=0)] = 10.0
    keep_last: Positive = 3
    keep_every: Count = 0  # generations; 0: none but the last ones


class RunConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that decides a run's bits, and how it is watched."""

    format: Literal["evoplastic.run"] = "evoplastic.run"
    version: Literal[1] = 1
    name: str = "run"
    summary: str = ""
    deviations: tuple[str, ...] = ()  # from a published program that the settings replicate
    seed: Annotated[int, msgspec.Meta(ge=0, le=2**62)] = 0
    generations: Positive = 100  # in total, never an increment
    start: Sha256 = ""  # of the genes that generation 0 starts from, given with --from; "": the genome's own
    problem: Union[tuple(PROBLEMS.values())]  # type: ignore[valid-type] # noqa: UP007
    strategy: Union[tuple(with_plugin("STRATEGIES", STRATEGIES).values())]  # type: ignore[valid-type] # noqa: UP007
    lifetimes: LifetimeSettings = LifetimeSettings()
    restarts: RestartSettings = RestartSettings()
    elites: EliteSettings = EliteSettings()
    validation: ValidationSettings = ValidationSettings()
    evaluation: EvaluationSettings = EvaluationSettings()
    checkpoints: CheckpointSettings = CheckpointSettings()


def read_config(source: str, overrides: Iterable[str] = (), **top_level: Any) -> RunConfig:
    """Return the resolved settings of a preset's name or a run file's path.

    `overrides` are `a.b=value` strings (value in TOML, or a bare word), applied after the file; `top_level` are keys
    such as seed and generations, applied last where not None. UserError, naming the key, for whatever is wrong.
    """
    raw = _read_extended(source, seen=())
    raw.setdefault("name", Path(source).stem)
    for override in overrides:
        _apply_override(raw, override)
    raw.update({key: value for key, value in top_level.items() if value is not None})
    return parse_config(raw)


def parse_config(raw: Mapping[str, Any]) -> RunConfig:
    """Return the resolved settings of a parsed run file."""
    _check_plain(raw)
    version = raw.get("version", VERSION)
    if isinstance(version, int) and version > VERSION:
        raise UserError(f"run file version {version} was written by a newer evoplastic; this one reads up to {VERSION}")
    try:
        config = msgspec.convert(raw, RunConfig)
    except msgspec.ValidationError as error:
        raise UserError(explained(str(error), raw, RunConfig)) from None
    problem: ProblemSettings = config.problem.resolve()
    try:
        choose_lesions(problem, config.evaluation.controls)
    except UserError as error:
        raise UserError(f"evaluation.controls: {error}") from None
    return msgspec.structs.replace(config, problem=problem)


def write_toml(config: RunConfig) -> str:
    """Return the complete run file of `config`; reading it gives equal settings."""
    return tomli_w.dumps(_without_none(msgspec.to_builtins(config)))


def deciding(config: RunConfig) -> str:
    """Return as JSON the settings that decide a run's bits: all but length, name, notes and watching.

    It is text so that nobody sorts it: the order of a battery's tasks decides what a generation draws.
    """
    content = msgspec.to_builtins(config)
    kept = {key: content[key] for key in ("seed", "problem", "strategy", "lifetimes", "restarts", "start")}
    return json.dumps(kept | {"elites": {"keep": config.elites.keep}})


def difference(config: RunConfig, stored: str) -> str | None:
    """Return in words the first of the `deciding` settings that differs from stored ones, None if none does.

    Keys that did not exist yet when the settings were stored count as their defaults.
    """
    then = parse_config({**json.loads(stored), "generations": config.generations})
    return _first_difference(json.loads(deciding(config)), json.loads(deciding(then)), "")


def _first_difference(now: Any, then: Any, path: str) -> str | None:
    if isinstance(now, dict) and isinstance(then, dict):
        for key in dict.fromkeys([*now, *then]):
            found = _first_difference(now.get(key), then.get(key), f"{path}.{key}" if path else key)
            if found:
                return found
        now, then = list(now), list(then)
    return None if now == then else f"{path} was {then!r}, is {now!r}"


def preset_names() -> list[str]:
    """Return the names of the presets, sorted."""
    return sorted(path.stem for path in PRESETS.glob("*.toml"))


def _read_extended(source: str, seen: tuple[str, ...]) -> dict[str, Any]:
    """Return a run file's content over the content of the preset it extends."""
    path = _find(source)
    if str(path.resolve()) in seen:
        raise UserError(f"run file {source} extends itself through {' -> '.join(seen)}")
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"run file {path} cannot be read: {error}") from error
    base = raw.pop("extends", None)
    if base is None:
        return raw
    if not isinstance(base, str):
        raise UserError(f"extends must be the name of a preset or the path of a run file, got {base!r}")
    if base.endswith(".toml"):
        base = str(path.parent / base)  # the folder that evoplastic was started from does not matter
    return _merged(_read_extended(base, (*seen, str(path.resolve()))), raw)


def _find(source: str) -> Path:
    if source.endswith(".toml"):
        if not os.path.isfile(source):
            raise UserError(f"run file {source} does not exist; give the path of a .toml file or a preset's name")
        return Path(source)
    path = PRESETS / f"{source}.toml"
    if source not in preset_names():
        names = preset_names()
        raise UserError(f"preset {source!r} is unknown; choose one of {names}{nearest(source, names)}")
    return path


def _merged(base: dict[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return `base` with `over` laid on top, table by table; a table of another `type` replaces the whole table."""
    merged = dict(base)
    for key, value in over.items():
        below = merged.get(key)
        same_kind = isinstance(below, dict) and isinstance(value, Mapping)
        if same_kind and ("type" not in value or value["type"] == below.get("type")):  # type: ignore[union-attr]
            merged[key] = _merged(below, value)  # type: ignore[arg-type]
        else:
            merged[key] = value
    return merged


def _apply_override(raw: dict[str, Any], override: str) -> None:
    path, equals, text = override.partition("=")
    keys = _keys(path)
    if not equals or not keys:
        raise UserError(f"--set must look like strategy.sigma=0.02, got {override!r}")
    try:
        parsed = tomllib.loads(f"value = {text.strip()}")
    except (ValueError, RecursionError):
        parsed = {}
    over: Any = parsed["value"] if parsed.keys() == {"value"} else text.strip()  # a bare word is a string
    for key in reversed(keys):
        over = {key: over}
    raw.update(_merged(raw, over))


def _keys(path: str) -> list[str]:
    """Return the keys of a path as TOML reads it, `a."b.c"` being two; none if it is no path."""
    try:
        below: Any = tomllib.loads(f"{path} = 0")
    except (ValueError, RecursionError):
        return []
    keys = []
    while isinstance(below, dict) and len(below) == 1:
        ((key, below),) = below.items()
        keys.append(key)
    return keys


def _without_none(value: Any) -> Any:
    """Return the builtin `value` without None, which TOML cannot say and which is every optional key's default."""
    if isinstance(value, dict):
        return {key: _without_none(item) for key, item in value.items() if item is not None}
    if isinstance(value, (list, tuple)):
        return [_without_none(item) for item in value]
    return value


def _check_plain(value: Any, where: str = "") -> None:
    """Raise UserError for what no key can mean or no file can hold: infinity, NaN, huge numbers, broken Unicode."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            _check_plain(key, where)
            _check_plain(item, f"{where}.{key}" if where else key)
    elif isinstance(value, (list, tuple)):
        for item in value:
            _check_plain(item, where)
    elif isinstance(value, float) and not abs(value) <= LARGEST:
        raise UserError(f"{where}: expected a number between {-LARGEST:g} and {LARGEST:g}, got {value}")
    elif isinstance(value, int) and abs(value) >= 2**63:
        raise UserError(f"{where}: expected an integer of at most 63 bits, got one of {value.bit_length()}")
    elif isinstance(value, str) and not _is_unicode(value):
        raise UserError(f"{where or 'run file'}: expected valid Unicode text, got {value!r}")


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
