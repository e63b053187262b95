"""Options that several commands share, and how their text is read."""

from __future__ import annotations

from typing import Annotated

import typer

Set = Annotated[list[str] | None, typer.Option("--set", metavar="A.B=VALUE", help="Change a key of the run file.")]
Generations = Annotated[int | None, typer.Option(min=1, help="Total number of generations, never an increment.")]
Backend = Annotated[str, typer.Option(help="Where lives are computed: threads or ray.")]
Workers = Annotated[int | None, typer.Option(min=1, help="Default: the cores this process, or the cluster, may use.")]
Address = Annotated[
    str | None, typer.Option(help="Of a Ray cluster to join; default: $RAY_ADDRESS, else a Ray of its own.")
]
RunsDir = Annotated[str | None, typer.Option(help="Folder of runs; default $EVOPLASTIC_RUNS, else ./runs.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON object on stdout, everything else on stderr.")]
Plugin = Annotated[
    str | None,
    typer.Option(metavar="FILE.py", help="Rules, modulations, networks, tasks or strategies of your own."),
]
RunName = Annotated[str, typer.Argument(metavar="RUN", help="A run folder, or its name in the folder of runs.")]
BreakLock = Annotated[bool, typer.Option("--break-lock", help="Take the run from a process that holds it.")]
From = Annotated[
    str | None,
    typer.Option(
        "--from",
        metavar="RUN[:WHICH]|FILE.npz",
        help="Start from a run's center (the default), best of its elites or elite (their mean), or an exported file.",
    ),
]
Fresh = Annotated[
    str | None,
    typer.Option(metavar="BLOCK,...|all", help="With --from: blocks that start from first genes of their own."),
]
Grace = Annotated[
    float | None,
    typer.Option(min=0, metavar="SECONDS", help="How long a signal lets the generation go on before it is abandoned."),
]
SkipPoison = Annotated[
    bool,
    typer.Option("--skip-poison", help="Rank a member that keeps killing its workers worst; the run is not exact."),
]
Track = Annotated[
    str | None,
    typer.Option(metavar="SINK", help="Show scores elsewhere as they come: tensorboard. Changes nothing in the run."),
]


def names(text: str) -> tuple[str, ...]:
    """Return the words of a comma-separated list."""
    return tuple(name.strip() for name in text.split(",") if name.strip())
