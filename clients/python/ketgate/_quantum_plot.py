"""Pictures of quantum results: histograms of outcomes, and how optimisers went."""

from typing import TYPE_CHECKING, Any

from ketgate._errors import NoSolution
from ketgate._plot import BLUE, ORANGE, finish, new_figure, style

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
    return finish(figure, path)


def convergence(
    steps: Any, *, title: str, ylabel: str, level: float | None, level_name: str, path: Any
) -> Any:
    """Expectation by evaluations, with the classical value as a level. steps: ConvergencePoints."""
    if not steps:
        raise NoSolution("there is nothing to draw: the optimiser took no step")
    figure = new_figure(8, 4.5)
    axes = figure.subplots()
    axes.plot(
        [step.evaluations for step in steps],
        [step.value for step in steps],
        "o-",
        color=BLUE,
        linewidth=2,
        markersize=3,
        label="expectation",
    )
    if level is not None:
        axes.axhline(level, color=ORANGE, linewidth=2, linestyle="--", label=level_name)
    axes.legend(frameon=False, fontsize=8.5)
    style(axes, title, "evaluations", ylabel)
    return finish(figure, path)
