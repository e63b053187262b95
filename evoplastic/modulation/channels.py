"""Several third factors at once, each the work of a part with a name: reward, and what the network emits, say.

    modulators[i] = m of part i,   cost of a step = sum of the parts' costs

Parts stand in the order of the run file; a rule listens to the one whose name its `channel` is. Where one part acts at
every step, those that act once a trial are 0 at all others. Parts that read units of a role share its units out in
their order. To the kernel the parts are nested pairs, so that each is reached by its own type.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple, Union

import msgspec
import numpy as np

from evoplastic.jit import pack
from evoplastic.modulation.contract import (
    ModulationSettings,
    channels,
    emitters,
    every_step,
    memory,
    modulate,
)
from evoplastic.parts import check_names


class ChannelsSettings(ModulationSettings, frozen=True, kw_only=True, tag="channels"):
    """Named third factors of a run file; `channels_of` says which modulations they may be."""

    parts: dict[str, ModulationSettings]

    def __post_init__(self) -> None:
        check_names(self.parts)

    @property
    def channels(self) -> tuple[str, ...]:  # type: ignore[override]
        """Each part's name, or `part.channel` for the channels of a part with several."""
        return tuple(channel for name, part in self.parts.items() for channel in _channels_of(name, part))

    def takes(self) -> Mapping[str, int]:
        counts: Counter[str] = Counter()
        for part in self.parts.values():
            counts.update(part.takes())
        return counts

    def build(self, places: dict[str, range]) -> Channels:
        """Return the packed modulation for a network with these roles."""
        left, parts = dict(places), []
        for role, count in self.takes().items():
            emitters("modulation by these parts", places, role, count)
        for part in self.parts.values():
            own = dict(left)
            for role, count in part.takes().items():
                own[role], left[role] = left[role][:count], left[role][count:]
            parts.append(part.build(own))
        last = Channels(parts[-1], Silence(1.0), 1.0)
        for part_built in reversed(parts[:-1]):
            last = Channels(part_built, last, 1.0)
        return pack(last)

    def only(self, heard: Collection[str]) -> ChannelsSettings:
        names = {self.channels[0] if name == "" else name for name in heard}
        parts = {name: part for name, part in self.parts.items() if names & {name, *_channels_of(name, part)}}
        return msgspec.structs.replace(self, parts=parts)

    def sources(self) -> tuple[str, ...]:
        return tuple(self.parts)

    def scaled(self, packed: Channels, source: str, factor: float) -> Channels:
        return _scaled(packed, list(self.parts).index(source), np.float32(factor))

    def told(self, fed: str, kinds: str) -> str:
        """Return what the rule learns by each part, of a task that feeds back `fed` and whose types tell `kinds`."""
        return " ".join(f"Third factor {name!r}: {part.told(fed, kinds)}" for name, part in self.parts.items())


def _channels_of(name: str, part: ModulationSettings) -> tuple[str, ...]:
    """Return what the channels of a part are called."""
    inner = part.channels
    return (name,) if len(inner) == 1 else tuple(f"{name}.{channel}" for channel in inner)


def _scaled(packed: Channels, place: int, factor: np.float32) -> Channels:
    """Return nested parts with the strength of the one at a place multiplied."""
    if place:
        return packed._replace(rest=_scaled(packed.rest, place - 1, factor))
    return packed._replace(first=packed.first._replace(strength=np.float32(packed.first.strength * factor)))


def channels_of(modulations: Mapping[str, type[ModulationSettings]], module: str) -> type[ChannelsSettings]:
    """Return the settings of a run file whose parts are some of these modulations.

    `module` holds them as ChannelsSettings.
    """
    part: Any = Union[tuple(modulations.values())]  # noqa: UP007
    return msgspec.defstruct(
        "ChannelsSettings",
        [("parts", dict[str, part])],
        bases=(ChannelsSettings,),
        namespace={"__doc__": ChannelsSettings.__doc__},
        module=module,
        frozen=True,
        kw_only=True,
        tag="channels",
    )


class Memories(NamedTuple):
    first: Any
    rest: Any


class Silence(NamedTuple):
    """What stands after the last part: no third factor."""

    strength: float  # 1

    def channels(modulation):
        return 0

    def every_step(modulation):
        return False

    def memory(modulation, kinds):
        return np.zeros(0, np.float32)

    def modulate(modulation, memory, outcome, fed, rates, modulators):
        return np.float32(0.0)


class Channels(NamedTuple):
    first: Any  # a modulation
    rest: Any  # the others: Channels or, after the last, Silence
    strength: float  # of them all: 1; 0 cuts the modulation

    def channels(modulation):
        return channels(modulation.first) + channels(modulation.rest)

    def every_step(modulation):
        return every_step(modulation.first) or every_step(modulation.rest)

    def memory(modulation, kinds):
        return Memories(memory(modulation.first, kinds), memory(modulation.rest, kinds))

    def modulate(modulation, memory, outcome, fed, rates, modulators):
        count = channels(modulation.first)
        cost = modulate(modulation.first, memory.first, outcome, fed, rates, modulators[:count])
        cost += modulate(modulation.rest, memory.rest, outcome, fed, rates, modulators[count:])
        for channel in range(modulators.shape[0]):
            modulators[channel] *= modulation.strength
        return cost
