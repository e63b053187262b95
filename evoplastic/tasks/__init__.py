"""Task engines. A new one is a file here and a line in TASKS; a new task is a row of data in task_specs/."""

from evoplastic.tasks.association_settings import AssociationSettings
from evoplastic.tasks.boolean_settings import BooleanSettings
from evoplastic.tasks.cue_reward_settings import CueRewardSettings
from evoplastic.tasks.meta.settings import MetaTaskSettings
from evoplastic.tasks.mixture import MixtureSettings
from evoplastic.tasks.pattern_settings import PatternSettings

TASKS = {
    "boolean": BooleanSettings,
    "meta_tasks": MetaTaskSettings,
    "patterns": PatternSettings,
    "association": AssociationSettings,
    "cue_reward": CueRewardSettings,
}
FAMILIES = {**TASKS, "mixture": MixtureSettings}  # what a run file may evolve on
