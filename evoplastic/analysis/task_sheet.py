"""The sheet of a meta-task's picture: title and summary above, the picture to the left, the panel beside it."""

from __future__ import annotations

import textwrap
from collections.abc import Callable

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.offsetbox import AnnotationBbox, OffsetBox

from evoplastic.analysis.canvas import canvas
from evoplastic.analysis.task_panel import Array, extent

LEFT, RIGHT, TOP, BOTTOM, BETWEEN = 0.3, 0.25, 0.95, 0.3, 0.45  # inches
NARROWEST = 6.4
_LETTERS_PER_INCH = 15.5  # of the summary


class Sheet:
    """A figure whose one pair of axes is measured in inches from its lower left corner.

    `corner` is where the lower left corner of a picture of `size` lies.
    """

    def __init__(self, title: str, summary: str, size: Array, panel: Callable[[], OffsetBox]):
        panel_size = extent(panel())
        width = max(LEFT + size[0] + BETWEEN + panel_size[0] + RIGHT, NARROWEST)
        lines = textwrap.wrap(summary, int(_LETTERS_PER_INCH * (width - 0.4)))
        top = TOP + 0.16 * (len(lines) - 1)
        height = top + max(size[1], panel_size[1]) + BOTTOM
        self.figure: Figure = canvas(width, height, title, "")
        for number, line in enumerate(lines):
            about = self.figure.texts[1]
            self.figure.text(
                0.2 / width,
                1 - (0.69 + 0.16 * number) / height,
                line,
                fontsize=about.get_fontsize(),
                color=about.get_color(),
            )
        self.axes: Axes = self.figure.axes[0]
        self.axes.set_position((0.0, 0.0, 1.0, 1.0))
        self.axes.set(xlim=(0, width), ylim=(0, height))
        self.axes.set_axis_off()
        free = width - LEFT - RIGHT - BETWEEN - panel_size[0] - size[0]
        self.corner: Array = np.array([LEFT + free / 2, BOTTOM + (height - top - BOTTOM - size[1]) / 2])
        place = (width - RIGHT - panel_size[0], height - top)
        self.axes.add_artist(AnnotationBbox(panel(), place, box_alignment=(0, 1), frameon=False, pad=0))
