"""A dataset at a glance: its label mix by register or split, and its sentence lengths."""

from __future__ import annotations

from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from sitrepbench.data.dataset import DOMAIN, LABEL, SPLIT, TEXT, Dataset
from sitrepbench.data.statistics import REGISTER
from sitrepbench.errors import ConfigError

#: Colours that also differ in grey and for colour-blind readers (Okabe & Ito 2008).
COLOURS = ("#D55E00", "#CC79A7", "#0072B2", "#009E73", "#BBBBBB", "#E69F00", "#56B4E9", "#F0E442")


def draw_dataset(dataset: Dataset, path: Path) -> None:
    """Write the figure; the format follows from the suffix (png, svg, pdf).

    Raises
    ------
    ConfigError
        When the suffix is unknown or the file cannot be written.
    """
    with matplotlib.rc_context({"font.size": 9, "svg.hashsalt": "sitrepbench"}):
        frame = dataset.frame
        column = next(
            (c for c in (REGISTER, DOMAIN, SPLIT) if c in frame.columns and (frame[c] != "").any()),
            None,
        )
        groups = pd.Series("all", index=frame.index) if column is None else frame[column]
        height = 1.8 + 0.28 * groups.nunique()
        figure = Figure(figsize=(10, max(3.2, height)), layout="constrained")
        mix, lengths = figure.subplots(1, 2, width_ratios=(3, 2))
        _draw_mix(mix, frame, groups, dataset.labels)
        mix.set_title(f"Labels by {column or 'dataset'}", loc="left")
        words = frame[TEXT].map(lambda text: len(text.split()))
        lengths.hist(words, bins=np.arange(0.5, words.quantile(0.995) + 2), color="#777777")
        for share in (0.1, 0.5, 0.9):
            value = words.quantile(share)
            lengths.axvline(value, color="black", linewidth=0.8, linestyle=":")
            lengths.annotate(f"{value:.0f}", (value, 0.93), xycoords=("data", "axes fraction"))
        lengths.set(xlabel="words in a sentence", ylabel="sentences")
        lengths.set_title("Lengths (10th percentile, median, 90th)", loc="left")
        title = f"{dataset.name} {dataset.version}".rstrip()
        figure.suptitle(f"{title}: {len(frame)} sentences, {dataset.n_documents} documents")
        try:
            figure.savefig(path, dpi=150)
        except (OSError, ValueError) as error:
            raise ConfigError(f"{path}: the figure cannot be written: {error}") from error


def _draw_mix(axes: matplotlib.axes.Axes, frame: pd.DataFrame, groups: pd.Series[str],
              labels: tuple[str, ...]) -> None:  # fmt: skip
    shares = pd.crosstab(groups, frame[LABEL], normalize="index").reindex(
        columns=list(labels), fill_value=0.0
    )
    sizes = groups.value_counts()
    names = list(shares.index)[::-1]
    left = np.zeros(len(names))
    for number, label in enumerate(labels):
        width = shares.loc[names, label].to_numpy()
        axes.barh(names, width, left=left, color=COLOURS[number % len(COLOURS)], label=label)
        left += width
    axes.set_yticks(range(len(names)), [f"{name} ({sizes[name]})" for name in names])
    axes.set_xlim(0, 1)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    axes.legend(ncols=3, loc="upper center", bbox_to_anchor=(0.5, -0.06), frameon=False)
