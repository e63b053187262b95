"""Task engines. A new one is a file here and a line in TASKS; a new task is a row of data in task_specs/."""

from evoplastic.tasks.boolean_settings import BooleanSettings
from evoplastic.tasks.meta.settings import MetaTaskSettings
from evoplastic.tasks.mixture import MixtureSettings

TASKS = {"boolean": BooleanSettings, "meta_tasks": MetaTaskSettings}
FAMILIES = {**TASKS, "mixture": MixtureSettings}  # what a run file may evolve on
