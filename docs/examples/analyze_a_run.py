# %% [markdown]
# # Look into a run from Python
#
# Run this file as a script from the checkout, or cell by cell in an editor that knows `# %%`. It reads `runs/reference`
# and writes nothing into it. In a notebook, `%matplotlib inline` makes a cell show the figure that it ends in.

# %%
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

import evoplastic

out = Path(tempfile.mkdtemp())

# %% [markdown]
# ## Where the run stands

# %%
run = evoplastic.load_run("runs/reference")
print(f"{run.config.name}: generation {run.state.generation} of {run.config.generations}, seed {run.config.seed}")
print(f"withheld from evolution: {', '.join(run.search.problem.withheld)}")

# %% [markdown]
# ## How it came there
#
# `metrics` has a column for every number that was recorded, one value a generation; `pandas.DataFrame(run.metrics)` is
# a table. Validation is due only now and then, and NaN in between.

# %%
metrics = run.metrics
validated = np.flatnonzero(np.isfinite(metrics["validation.training"]))
for row in validated[[0, -1]]:
    generation, lives = (int(metrics[name][row]) for name in ("generation", "validation.lives"))
    training, withheld = (metrics[f"validation.{part}"][row] for part in ("training", "withheld"))
    print(f"generation {generation}, {lives} lives a task: training {training:.3f}, withheld {withheld:.3f}")

# %% [markdown]
# ## What evolved
#
# The center is one vector of genes; its layout gives the blocks back, here from sending to receiving unit.

# %%
blocks = run.search.problem.layout.unpack(run.center)
for name, values in blocks.items():
    print(f"block {name} {values.shape}: mean {values.mean():+.3f}, standard deviation {values.std():.3f}")

# %% [markdown]
# ## What it is worth
#
# Fresh lives of the center, of generation 0 and of a lesion, all on the same stimuli and noise. A withheld task brings
# its negation, since a lean to one answer can hold one of the two above chance. Ten lives are the fewest for an
# interval.

# %%
evaluated = run.evaluate(lives=12, controls="plasticity_off", tasks="dms")
for name, condition in evaluated.result["conditions"].items():
    mean, low, high = (condition["withheld"][key] for key in ("mean", "low", "high"))
    print(f"{name}: {mean:.3f} [{low:.3f}, {high:.3f}], n = {condition['withheld']['n']} lives")
gain = evaluated.result["gain_over_generation_0"]["withheld"]
print(f"gained over generation 0, paired by life: {gain['mean']:+.3f} [{gain['low']:.3f}, {gain['high']:.3f}]")

# %% [markdown]
# ## Pictures
#
# From what is stored, and from the lives that were just lived.

# %%
print(f"drawn from the run's files: {', '.join(run.figures)}")
run.figures["progress"].savefig(out / "progress.png")

# %%
learning = run.figures.of(evaluated)["learning"]
learning.savefig(out / "learning.png")

# %% [markdown]
# ## A life, step by step
#
# The command `evoplastic record` writes activity, third factors and plastic weights of lives; here the last 50 trials
# of four, with all plastic weights after every 25th.

# %%
record = ["evoplastic", "record", "runs/reference", "--task", "dms", "--lives", "4", "--first", "350", "--every", "25"]
subprocess.run([sys.executable, "-m", *record, "-o", out / "dms.npz"], check=True, capture_output=True)
recording = evoplastic.load_recording(out / "dms.npz")
rates = recording["rates"].select(unit="hidden")
print(f"rates of hidden units: {' x '.join(rates.axes)} = {rates.values.shape}")

# %%
weights = recording["weights"].values  # (life, sample, pre, post)
learned = np.linalg.norm(recording["gain"].values * weights[:, -1], axis=(1, 2))
innate = np.linalg.norm(recording["innate"].values, axis=(1, 2))
ratios = ", ".join(f"{ratio:.2f}" for ratio in learned / innate)
print(f"learned over innate weights, ratio of norms: {ratios} in {len(weights)} lives")
