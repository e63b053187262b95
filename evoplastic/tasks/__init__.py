"""Task engines. A new one is a file here and a line in TASKS; a new Boolean task is a row of data in task_specs/."""

from evoplastic.tasks.boolean_settings import BooleanSettings

TASKS = {"boolean": BooleanSettings}
