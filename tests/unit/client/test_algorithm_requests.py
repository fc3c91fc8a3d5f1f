"""Algorithms, as a caller may ask for them."""

from typing import Any

import ketgate
import pytest
from ketgate import _algorithm_requests as requests


@pytest.mark.parametrize(
    ("marked", "states", "num_bits"),
    [("0110", [6], 4), (["011", "100"], [3, 4], 3), ([5, 2], [5, 2], 3)],
)
def test_marked_strings_are_numbers_of_as_many_bits(
    marked: Any, states: list[int], num_bits: int
) -> None:
    """One text was read as a list of texts of one bit each, and short texts grew zeros in front."""
    spec = requests.grover(marked).spec
    assert list(spec.marked.states) == states
    assert spec.marked.num_bits == num_bits


@pytest.mark.parametrize(("marked", "num_bits"), [(["10", "101"], 0), (["101"], 5)])
def test_marked_strings_of_other_lengths_are_refused(marked: list[str], num_bits: int) -> None:
    with pytest.raises(ketgate.InvalidArgument, match=r"expected texts of . bits, given '101'"):
        requests.grover(marked, num_bits=num_bits)
