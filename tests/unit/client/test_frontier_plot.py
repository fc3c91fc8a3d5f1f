"""The picture of a frontier: a line where what lies between two portfolios can be held, else points."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("matplotlib")
from ketgate import _plot


@pytest.mark.parametrize(("bounds", "line", "marker"), [(None, "-", "None"), (2, "None", "o")])
def test_portfolios_of_few_names_are_not_joined(bounds: Any, line: str, marker: str) -> None:
    points = SimpleNamespace(
        volatilities=np.array([0.1, 0.2]),
        expected_returns=np.array([0.01, 0.05]),
        corner_volatilities=np.empty(0),
        variance_bounds=None if bounds is None else np.array([0.01, 0.04]),
    )
    axes = _plot.new_figure(4, 3).subplots()
    _plot.draw_frontier(axes, SimpleNamespace(points=points))  # type: ignore[arg-type]
    drawn = axes.get_lines()[0]
    assert drawn.get_linestyle() == line
    assert str(drawn.get_marker()).replace("none", "None") == marker
