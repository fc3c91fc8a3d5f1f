"""Pictures of quantum results: histograms of outcomes, and how optimisers went."""

from itertools import accumulate
from typing import TYPE_CHECKING, Any

from ketgate._errors import NoSolution
from ketgate._plot import BLUE, MUTED, ORANGE, finish, new_figure, style

if TYPE_CHECKING:
    from ketgate._quantum_result import CircuitResult

BARS_MAX = 32


def histogram(result: "CircuitResult", path: Any) -> Any:
    """A bar for each outcome in the order of the outcomes; of many, the likeliest."""
    likely = list(result.probabilities.items())[:BARS_MAX]
    if not likely:
        raise NoSolution("there is nothing to draw: the circuit measured nothing")
    shown = sorted(likely)
    figure = new_figure(max(5.0, 1.5 + 0.36 * len(shown)), 4.2)
    axes = figure.subplots()
    places = range(len(shown))
    errors = [result.standard_error_max] * len(shown) if result.counts else None
    axes.bar(
        places,
        [p for _, p in shown],
        yerr=errors,
        color=BLUE,
        width=0.72,
        ecolor=ORANGE,
        error_kw={"linewidth": 1.2},
    )
    axes.set_xticks(places, [key for key, _ in shown], rotation=90 if len(shown) > 8 else 0)
    more = len(result.probabilities) - len(shown)
    title = f"{result.label or 'Outcomes'}{f' (the {len(shown)} likeliest)' if more else ''}"
    corrected = "quasi-probability" if result.message.mitigated else "probability"
    style(axes, title, "outcome", corrected if result.counts else f"exact {corrected}")
    axes.grid(False, axis="x")
    if min(p for _, p in shown) >= 0:  # quasi-probabilities may be below
        axes.set_ylim(bottom=0)
    return finish(figure, path)


def convergence(
    steps: Any, *, title: str, ylabel: str, level: float | None, level_name: str, path: Any
) -> Any:
    """The value by evaluations, the best so far, and the classical value as a level. steps:
    ConvergencePoints, of something that is minimised.
    """
    if not steps:
        raise NoSolution("there is nothing to draw: the optimiser took no step")
    figure = new_figure(8, 4.5)
    axes = figure.subplots()
    at = [step.evaluations for step in steps]
    values = [step.value for step in steps]
    axes.plot(at, values, ".-", color=MUTED, linewidth=0.8, markersize=3, label=ylabel)
    best = list(accumulate(values, min))
    axes.step(at, best, where="post", color=BLUE, linewidth=2, label="best so far")
    if level is not None:
        axes.axhline(level, color=ORANGE, linewidth=2, linestyle="--", label=level_name)
    axes.legend(frameon=False, fontsize=8.5)
    style(axes, title, "evaluations", ylabel)
    return finish(figure, path)
