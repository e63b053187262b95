"""Settings of a sample as a user spells them: key by key, each mistake told by its key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

import msgspec

from evoplastic.errors import UserError, nearest
from evoplastic.tasks.meta.sampling.settings import SampleSettings


def parse_settings(raw: Mapping[str, Any]) -> SampleSettings:
    """Return the settings; keys that are not given keep their defaults."""
    known = {field.name: field.type for field in msgspec.structs.fields(SampleSettings)}
    for key, value in raw.items():
        if key not in known:
            raise UserError(f"{key!r} is no setting of a sample; choose among {', '.join(known)}{nearest(key, known)}")
        try:
            msgspec.convert({key: value}, SampleSettings)
        except msgspec.ValidationError as error:
            problem = str(error).partition(" - at `$")[0].partition(", got ")[0]
            if problem.startswith("Invalid enum value"):
                problem = f"Expected {' or '.join(get_args(known[key]))}"
            raise UserError(f"{key}: {problem[0].lower()}{problem[1:]}, got {value!r}") from None
    return msgspec.convert(dict(raw), SampleSettings)
