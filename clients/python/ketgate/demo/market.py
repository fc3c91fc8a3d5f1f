"""The market data of this folder, read."""

import gzip
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Nikkei:
    """The 225 names of the Nikkei, March 1992 to September 1997; figures are weekly."""

    names: list[str]
    """N1 to N225: OR-Library tells no names."""
    expected_returns: NDArray[np.float64]
    """Shape (225,)."""
    covariance: NDArray[np.float64]
    """Shape (225, 225)."""


def nikkei() -> Nikkei:
    """OR-Library's portfolio set 5: n, then n lines of mean and deviation, then lines of i, j,
    correlation.
    """
    numbers = np.array(_lines("nikkei225.txt.gz").split(), dtype=np.float64)
    size = int(numbers[0])
    moments = numbers[1 : 1 + 2 * size].reshape(size, 2)
    entries = numbers[1 + 2 * size :].reshape(-1, 3)
    row, column = entries[:, 0].astype(int) - 1, entries[:, 1].astype(int) - 1
    correlation = np.zeros((size, size))
    correlation[row, column] = correlation[column, row] = entries[:, 2]
    deviation = moments[:, 1]
    names = [f"N{i + 1}" for i in range(size)]
    return Nikkei(names, moments[:, 0].copy(), correlation * np.outer(deviation, deviation))


def sp500_prices() -> Any:
    """Daily prices of 20 names of the S&P 500, 1990 to 2022: a DataFrame, dates down and names
    across.
    """
    import pandas

    with (files("ketgate.demo") / "sp500.csv.gz").open("rb") as packed, gzip.open(packed) as file:
        return pandas.read_csv(file, index_col=0, parse_dates=True)


def _lines(name: str) -> str:
    return gzip.decompress((files("ketgate.demo") / name).read_bytes()).decode("ascii")
