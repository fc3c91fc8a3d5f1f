"""The tables of the study as Markdown, and its picture."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from scaling import Curve, Interval, Line, Meeting, best_setting, fit, medians, meeting
from solution_costs import IONS, SUPERCONDUCTING, curves, near, settings, success_medians
from solution_runs import FAMILIES, Runs

TITLES = {"sk": "Sherrington-Kirkpatrick", "maxcut": "Weighted 3-regular cuts"}
RIVALS = ("annealing, s", "branch-and-cut, s", "every assignment, s")
DEVICES = tuple(f"QAOA at its best, {device.name}, s" for device in (SUPERCONDUCTING, IONS))
BEST = "QAOA at its best, layers x shots"


def figures(runs: Sequence[Runs]) -> str:
    """All tables."""
    out = []
    for family in FAMILIES:
        mine = near(runs, family)
        if not mine:
            continue
        every = curves(runs, family)
        known = {name: curve for name, curve in every.items() if len(curve) > 1}
        count = len([one for one in mine if one.spins == mine[0].spins])
        out += [f"### {TITLES[family]}: {count} instances of each size", ""]
        out += [*successes(mine, every[BEST]), ""]
        if BEST in known:  # a line takes two sizes
            out += [*growths(known), "", *meetings(known), ""]
    return "\n".join(out).rstrip()


def successes(runs: Sequence[Runs], best: Curve) -> list[str]:
    """Median over instances of the probability that one shot is a ground state. best: layers x shots by setting."""
    sizes = sorted({one.spins for one in runs})
    lines = ["Probability that a shot is a ground state, median of the instances:", ""]
    lines += ["| angles | p | " + " | ".join(f"n = {n}" for n in sizes) + " |"]
    lines += ["|---" * (len(sizes) + 2) + "|"]
    for searched, label in ((False, "transferred"), (True, "of each instance")):
        depths = sorted(
            {depth for one in runs for depth in (one.optimized if searched else one.transferred)}
        )
        for depth in depths:
            found = success_medians(runs, depth, searched=searched)
            cells = [f"{found[n]:.2g}" if n in found else "" for n in sizes]
            lines.append(f"| {label} | {depth} | " + " | ".join(cells) + " |")
    chosen = best_setting(best)
    cells = [str(settings(runs, n)[chosen[n]][0]) for n in sizes]
    lines.append("| fewest layers x shots at p = | | " + " | ".join(cells) + " |")
    return lines


def growths(known: Mapping[str, Curve]) -> list[str]:
    lines = ["Time to solution at 99 %, log2(median) = a + b n, 95 % intervals:", ""]
    lines += ["| solver, unit | n | at the largest n | a | b |", "|---|---|---|---|---|"]
    for name, curve in known.items():
        line, last = fit(curve), max(curve)
        lines.append(
            f"| {name} | {min(curve)} to {last} | {_quantity(medians(curve)[last])} | {line.intercept:.1f}"
            f" | {_told(line.growth)} |"
        )
    return lines


def meetings(known: Mapping[str, Curve]) -> list[str]:
    lines = [
        "QAOA on an ideal device beside classical solvers, its time over theirs at the largest n of both, and where"
    ]
    lines += ["the fitted lines would meet, were they to go on (spins; 95 % intervals):", ""]
    lines += [
        "| device | beside | ratio | would fall below at | time there |",
        "|---|---|---|---|---|",
    ]
    for device in DEVICES:
        for rival in RIVALS:
            if rival not in known:
                continue
            found, line = meeting(known[device], known[rival]), fit(known[device])
            last = max(n for n in known[device] if n in known[rival])
            ratio = medians(known[device])[last] / medians(known[rival])[last]
            where = _where(found, min(known[device]))
            there = _time_there(line, found.spins.value) if where[0].isdigit() else ""
            name = device.removeprefix("QAOA at its best, ").removesuffix(", s")
            lines.append(
                f"| {name} | {rival.removesuffix(', s')} | {_quantity(ratio)} (n = {last}) | {where} | {there} |"
            )
    return lines


def _where(found: Meeting, smallest: int) -> str:
    """Begins with the number of spins where there is one."""
    low, high, faster = found.spins.low, found.spins.high, f"{100 * found.never:.0f} % of resamples"
    if math.isinf(low):
        return f"nowhere: QAOA grows faster, in {faster}"
    if found.spins.value < smallest:
        return f"is below from n = {smallest}"
    if math.isinf(high):
        return f"cannot be told: {low:.0f} to never; QAOA grows faster in {faster}"
    return f"{found.spins.value:.0f} ({low:.0f} to {high:.0f})"


def _time_there(line: Line, spins: float) -> str:
    exponent = math.log10(2.0) * (line.intercept + line.slope * spins)
    return f"10^{exponent:.1f} s"


def _told(interval: Interval) -> str:
    return f"{interval.value:.2f} ({interval.low:.2f} to {interval.high:.2f})"


def _quantity(value: float) -> str:
    if value >= 1e4 or value < 1e-2:
        mantissa, exponent = f"{value:.1e}".split("e")
        return f"{mantissa}e{int(exponent)}"
    return f"{value:.3g}"


LEFT = {
    "QAOA p = 1, transferred angles, layers x shots": ("#9ecae1", "o"),
    "QAOA p = 4, transferred angles, layers x shots": ("#4292c6", "o"),
    "QAOA p = 16, transferred angles, layers x shots": ("#08519c", "o"),
    "annealing, spin updates": ("#e6550d", "s"),
    "branch-and-cut, simplex iterations": ("#31a354", "^"),
    "every assignment, visits": ("#636363", "d"),
}
RIGHT = {
    DEVICES[0]: ("#08519c", "o"),
    DEVICES[1]: ("#6baed6", "o"),
    "QAOA simulated, s": ("#756bb1", "v"),
    "annealing, s": ("#e6550d", "s"),
    "branch-and-cut, s": ("#31a354", "^"),
    "every assignment, s": ("#636363", "d"),
}


def draw(runs: Sequence[Runs], path: Path) -> None:
    """Work on the left, seconds on the right, a row for a family; medians and their lines."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(2, 2, figsize=(10, 7.2), sharex=True, sharey="col")
    for row, family in zip(axes, FAMILIES, strict=True):
        known = curves(runs, family)
        for axis, shown, unit in zip(row, (LEFT, RIGHT), ("units of work", "seconds"), strict=True):
            for name, (colour, marker) in shown.items():
                curve = known.get(name, {})
                if len(curve) < 2:
                    continue
                middle, line = medians(curve), fit(curve)
                axis.semilogy(list(middle), list(middle.values()), marker, color=colour, label=name)
                ends = [min(middle), max(middle)]
                fitted = [2.0 ** (line.intercept + line.slope * n) for n in ends]
                axis.semilogy(ends, fitted, "-", color=colour, linewidth=1)
            axis.set_title(f"{TITLES[family]}: {unit}", fontsize=10)
            axis.grid(visible=True, alpha=0.3)
            axis.set_xticks(sorted(known["annealing, spin updates"]))
    for axis in axes[-1]:
        axis.set_xlabel("spins")
        axis.legend(fontsize=7, loc="upper center", bbox_to_anchor=(0.5, -0.18), ncols=2)
    figure.suptitle(
        "Time to a ground state with probability 0.99; devices without errors", fontsize=11
    )
    figure.tight_layout()
    figure.savefig(path, dpi=80)
    plt.close(figure)
