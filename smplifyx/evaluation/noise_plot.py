"""A picture of errors against the noise of the keypoints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from smplifyx.atomic import atomic_path

_SIZE_INCHES = (4.2, 3.6)
_DPI = 130


def plot_noise(table: Sequence[Mapping[str, str | float]], metrics: Mapping[str, str], path: str | Path) -> None:
    """Draws one panel a metric, one line a configuration, with 95 % intervals.

    Args:
        table: from :func:`smplifyx.evaluation.report_tables.noise_table`.
        metrics: column of the table and its heading.
        path: the picture (.png).

    Raises:
        ImportError: matplotlib is not installed.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(_SIZE_INCHES[0] * len(metrics), _SIZE_INCHES[1]), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, len(metrics), squeeze=False)[0]
    for panel, (metric, heading) in zip(panels, metrics.items(), strict=True):
        for config in dict.fromkeys(str(line["config"]) for line in table):
            lines = [line for line in table if line["config"] == config]
            levels = [float(line["noise"]) for line in lines]
            low, high = ([float(line[f"{metric}_{end}"]) for line in lines] for end in ("low", "high"))
            (drawn,) = panel.plot(levels, [float(line[metric]) for line in lines], marker="o", label=config)
            panel.fill_between(levels, low, high, alpha=0.2, color=drawn.get_color())
        panel.set(title=f"{heading}, mm", xlabel="keypoint noise, times the detector's", ylim=(0.0, None))
        panel.grid(alpha=0.3)
    panels[0].legend()
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=_DPI)
