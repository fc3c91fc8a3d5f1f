"""The demo's picture, its quantum row: how good QAOA is by depth, and what the same circuit gives on
several simulators.
"""

from typing import Any

import numpy as np

from ketgate._plot import BLUE, GREEN, INK, MUTED, ORANGE, PALETTE, style
from ketgate.demo.quantum import CHOSEN, COMPARED_DEPTH, NAMES, Comparison


def draw_depths(axes: Any, told: Comparison) -> None:
    """Approximation ratio and chance of the best, by depth; the classical answer is the line at 1."""
    layers = [result.angles.shape[1] for result in told.depths]
    ratios = [result.approximation_ratio or np.nan for result in told.depths]
    chances = [result.ground_state_probability or np.nan for result in told.depths]
    axes.axhline(1.0, color=GREEN, linewidth=2.2)
    axes.annotate(
        f"classical, proven: {told.classical.time.total_s * 1e3:.1f} ms",
        (layers[-1], 1.0),
        (0, 3),
        textcoords="offset points",
        ha="right",
        va="bottom",
        fontsize=9,
        color=GREEN,
    )
    axes.plot(layers, ratios, "o-", color=BLUE, linewidth=2.4, label="approximation ratio")
    axes.plot(layers, chances, "s--", color=ORANGE, linewidth=1.8, label="chance to draw the best")
    axes.set_ylim(0.0, 1.14)
    axes.set_xticks(layers)
    axes.legend(frameon=False, fontsize=9, loc="center right")
    style(
        axes,
        f"The best {CHOSEN} of {NAMES} names: QAOA on an exact simulator",
        "layers",
        "share",
    )


def draw_backends(axes: Any, told: Comparison) -> None:
    """How often each simulator drew an objective this good or better."""
    best = told.classical.objective or 0.0
    for result, color in zip(told.backends, (BLUE, ORANGE, PALETTE[4], MUTED), strict=False):
        values = np.array([sample.objective for sample in result.samples])
        counts = np.array([sample.count for sample in result.samples])
        order = np.argsort(values)
        share = np.cumsum(counts[order]) / counts.sum()
        evidence = result.evidence
        label = f"{evidence.backend} {evidence.version.split()[-1]}, seed {evidence.seed}"
        axes.step(values[order], share, where="post", color=color, linewidth=2, label=label)
    axes.axvline(best, color=GREEN, linewidth=2.2)
    axes.annotate(
        "proven best",
        (best, 0.97),
        (6, 0),
        textcoords="offset points",
        va="top",
        fontsize=9,
        color=GREEN,
    )
    axes.set_ylim(0.0, 1.0)
    axes.legend(frameon=False, fontsize=9, loc="lower right")
    style(
        axes,
        f"The same circuit, {COMPARED_DEPTH} layers, on simulators of three houses",
        "objective (minus utility a year): smaller is better",
        "share of the shots",
    )


def draw_words(axes: Any, told: Comparison) -> None:
    """What the row shows, in words."""
    axes.set_axis_off()
    needed = told.depths[0].resources
    deepest = told.depths[-1]
    chance = deepest.ground_state_probability or 0.0
    lines = [
        "Simulators, not quantum computers.",
        "",
        f"Looking at all {2**NAMES:,} assignments took",
        f"{told.classical.time.total_s * 1e3:.1f} ms and proves the answer.",
        "QAOA only makes good choices likely: with",
        f"{deepest.angles.shape[1]} layers the best has a chance of {chance:.1%},",
        f"on {needed.num_qubits} qubits and a depth of {deepest.resources.depth},",
        "without the noise of a device.",
        "",
        "On instances of this size classical search wins.",
    ]
    axes.text(0.02, 0.95, "\n".join(lines), va="top", fontsize=11, color=INK, linespacing=1.5)
    style(axes, "What this shows")
