"""The command that chooses settings: runs in rungs, each rung's scores, the best settings as a run file."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext, redirect_stdout
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, NoReturn, TypeVar

import typer

from evoplastic.cli.groups import How, complain, listening, work
from evoplastic.cli.options import Address, Backend, Grace, Json, Plugin, RunsDir, Set
from evoplastic.cli.running import INTERRUPTED
from evoplastic.errors import UserError
from evoplastic.plugins import use_plugin

if TYPE_CHECKING:
    from evoplastic.evaluators.contract import Evaluator
    from evoplastic.groups import Group
    from evoplastic.launch import Run
    from evoplastic.progress import Screen
    from evoplastic.stop import StopRequest
    from evoplastic.sweeps import Planned
    from evoplastic.tuned import Scores
    from evoplastic.tuning import Tuning

T = TypeVar("T")


def tune(
    source: Annotated[str, typer.Argument(metavar="PRESET|FILE.toml", help="A preset's name or a run file.")],
    over: Annotated[
        list[str], typer.Option(metavar="A.B=VALUES", help="A key and what to try: 0.01,0.03 or 0:1 or log:1e-3:1e-1.")
    ],
    budget: Annotated[int, typer.Option(min=1, metavar="LIFETIMES", help="Of all runs and scores together.")],
    seeds: Annotated[str, typer.Option(help="Such as 100:102; those below 100 are kept for reports.")] = "100:102",
    candidates: Annotated[
        int | None, typer.Option(min=2, help="Settings to try; default: all of a grid, 27 where there is a range.")
    ] = None,
    eta: Annotated[int, typer.Option(min=2, help="One in so many settings goes on to the next rung.")] = 3,
    lives: Annotated[int, typer.Option(min=1, help="Of a score, per task.")] = 8,
    set_: Set = None,
    plugin: Plugin = None,
    name: Annotated[str | None, typer.Option(help="Name of the group; one that exists is carried on.")] = None,
    backend: Backend = "threads",
    workers: Annotated[int | None, typer.Option(min=1, help="For all runs together; default: all cores.")] = None,
    address: Address = None,
    grace: Grace = None,
    parallel: Annotated[
        int | None, typer.Option(min=1, help="Runs side by side; default: one per worker, at most one per core here.")
    ] = None,
    runs_dir: RunsDir = None,
    as_json: Json = False,
) -> None:
    """Choose settings by successive halving on the validation fold; the same command carries on what is not done."""
    use_plugin(plugin)
    stop, screen = listening(as_json)
    from evoplastic import tuned
    from evoplastic.groups import is_taken, open_group
    from evoplastic.lock import RunLock
    from evoplastic.runs import check_name
    from evoplastic.runs import runs_dir as resolve_runs_dir
    from evoplastic.sweeps import default_name
    from evoplastic.tuning import Asked, plan

    how = How(backend, workers, address, None, grace)
    how.check()
    asked = Asked(
        source=source,
        over=tuple(over),
        budget=budget,
        seeds=seeds,
        set=tuple(set_ or ()),
        candidates=candidates,
        eta=eta,
        lives=lives,
    )
    tuning = plan(asked)
    name = name or default_name([source]).removesuffix("sweep") + "tune"
    check_name(name)
    runs = resolve_runs_dir(runs_dir)
    scores = tuned.read_scores(runs / name, asked)
    group, cells = open_group(runs, name, tuning.cells, tuning.overrides)
    tuning = tuning._replace(cells=cells)
    for warning in tuned.warnings(tuning):
        screen.warn(warning)
    _introduce(screen, tuning, group)
    if is_taken(group.path):
        raise UserError(f"another process is at {group.path}; wait for it to end")
    with RunLock(group.path), redirect_stdout(sys.stderr) if as_json else nullcontext():
        told = Climb(screen, tuning, group, how, parallel, stop).all(scores)
    if as_json:
        print(json.dumps(told, allow_nan=False))
    screen.table(tuned.table(told))
    for line in tuned.sentences(told):
        screen.say(line)
    screen.say(f"settings: {group.path / tuned.BEST}")


class Climb(NamedTuple):
    """A tuning at work: the runs of a rung, their scores, the next rung."""

    screen: Screen
    tuning: Tuning
    group: Group
    how: How
    parallel: int | None
    stop: StopRequest

    def all(self, scores: Scores) -> dict[str, Any]:
        """Go on from where the scores stand to the best settings; return the `tune` object, written."""
        from evoplastic import tuned

        if not tuned.result(self.tuning, self.group.path, scores)["best"]:
            with self.how.opened() as (workers, address):
                placed = self._replace(how=self.how._replace(workers=workers, address=address))
                for rung in range(len(self.tuning.rungs)):
                    scores = placed.rung(rung, scores)
                scores = placed.confirm(scores)
        return tuned.write_result(self.tuning, self.group.path, scores)

    def rung(self, rung: int, scores: Scores) -> Scores:
        """Evolve the runs of a rung to its end and score them; return all scores, written one by one."""
        from evoplastic import tuned

        lives = self.tuning.asked.lives
        by_candidate = [self.tuning.runs(each, rung) for each in tuned.alive(self.tuning, scores)[rung]]
        planned = [run for of_a_seed in zip(*by_candidate) for run in of_a_seed]
        tuned.check_in_step(self.group.path, scores, rung, planned)
        self.evolve(rung, planned)
        for each in planned:
            if len(scores.scores.get(each.cell.name, ())) <= rung:
                score = self.lived(each, lambda run, evaluator: tuned.score(run, evaluator, rung, lives))
                scores = scores.with_score(each.cell.name, score)
                tuned.write_result(self.tuning, self.group.path, scores)
        return scores

    def confirm(self, scores: Scores) -> Scores:
        """Score the best settings on fresh lives; UserError if even their runs diverged."""
        from evoplastic import tuned

        lives = self.tuning.config.evaluation.lives
        if not tuned.converges(self.tuning, scores):
            raise UserError("the runs of all settings diverged; give --over lower step sizes, under another --name")
        for each in tuned.best_runs(self.tuning, scores):
            if each.cell.name not in scores.confirmed:
                pair = self.lived(each, lambda run, evaluator: tuned.confirm(run, evaluator, lives))
                scores = scores.with_confirmed(each.cell.name, pair)
                tuned.write_result(self.tuning, self.group.path, scores)
        return scores

    def evolve(self, rung: int, planned: Sequence[Planned]) -> None:
        """Run the cells that are not at the end of the rung, side by side; or stop on a signal, and exit."""
        from evoplastic.evaluators.threads import available_cores
        from evoplastic.fleet import Fleet, cell_job
        from evoplastic.groups import is_evolved

        folder = self.group.path
        left = [each for each in planned if not is_evolved(folder / each.cell.name, each.config.generations)]
        done = f"{len(planned)} runs, {len(planned) - len(left)} of them done"
        self.screen.say(f"rung {rung + 1} of {len(self.tuning.rungs)}: {done}")
        codes: dict[str, int] = {}
        if left:
            workers = self.how.workers or available_cores()
            abreast = min(self.parallel or min(workers, available_cores()), len(left))
            given = [*self.how.words(max(1, workers // abreast), self.how.address), "--no-evaluation", "--generations"]
            jobs = [cell_job(folder, each, [*given, str(each.config.generations)], is_evolved) for each in left]
            codes = work(self.screen, self.group, planned, Fleet(jobs, abreast, self.screen.say), self.stop)
        if self.stop.finish() or INTERRUPTED in codes.values():
            self.leave()
        complain(self.screen, self.group, codes)

    def lived(self, planned: Planned, measure: Callable[[Run, Evaluator], T]) -> T:
        """Return what `measure` makes of a run at the end of its rung; or stop on a signal, and exit."""
        from evoplastic.evaluators import open_evaluator
        from evoplastic.evaluators.contract import Abandoned, Placement
        from evoplastic.launch import load_run

        if self.stop.finish():
            self.leave()
        run = load_run(self.group.path / planned.cell.name, generations=planned.config.generations)
        placement = Placement(self.how.workers, self.how.address)
        self.stop.patience = 1
        evaluator = open_evaluator(self.how.backend, run.search.problem, placement, self.stop.abandon, self.screen.warn)
        try:
            return measure(run, evaluator)
        except Abandoned:
            self.leave()
        finally:
            evaluator.close()
            self.stop.patience = 2

    def leave(self) -> NoReturn:
        """Say how to go on, and exit."""
        self.screen.say("stopped; carry on with:")
        self.screen.say(f"    {shlex.join(['evoplastic', *sys.argv[1:]])}")
        raise typer.Exit(INTERRUPTED)


def _introduce(screen: Screen, tuning: Tuning, group: Group) -> None:
    """Say what is about to be done, rung by rung."""
    screen.say(f"{group.path}: {tuning.config.summary}")
    rows = [("rung", "settings", "seeds", "generations", "lifetimes of a run")]
    for number, rung in enumerate(tuning.rungs):
        generations = sorted(tuning.runs(each, number)[0].config.generations for each in range(len(tuning.candidates)))
        told = f"{generations[0]}" if generations[0] == generations[-1] else f"{generations[0]} to {generations[-1]}"
        rows.append((f"{number + 1}", f"{rung.settings}", f"{len(tuning.seeds)}", told, f"{rung.lifetimes}"))
    screen.table(rows)
