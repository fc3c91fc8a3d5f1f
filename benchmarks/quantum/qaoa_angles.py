"""Makes the table of QAOA's start angles: prints server/ketgate_server/quantum/qaoa/fixed_angles.py.

    python benchmarks/quantum/qaoa_angles.py > server/ketgate_server/quantum/qaoa/fixed_angles.py

For each depth the mean energy of a few instances is minimised over common angles, from the depth before by
interpolation. Couplings are scaled so that the local field of a spin has variance 1: angles of unlike degrees then lie
close together. Two families: random 3-regular graphs, and normal couplings between all spins.
"""

from collections.abc import Sequence

import numpy as np
from ketgate_native.qaoa import Qaoa
from ketgate_server.quantum.qaoa.angles import interpolated
from numpy.typing import NDArray
from scipy.optimize import minimize

LAYERS_MAX, SEED = 12, 11
HEAD = '''"""Angles that do well on typical instances; made by benchmarks/quantum/qaoa_angles.py.

By layers: (gammas, betas), for couplings scaled so that the local field of a spin has variance 1.
"""

Table = dict[int, tuple[str, str]]
'''


def regular(spins: int, degree: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Edges of a random simple graph, (m, 2)."""
    while True:
        edges = np.sort(rng.permutation(np.repeat(np.arange(spins), degree)).reshape(-1, 2), axis=1)
        if (edges[:, 0] != edges[:, 1]).all() and len(np.unique(edges, axis=0)) == len(edges):
            return edges


def sparse_instances() -> list[Qaoa]:
    rng = np.random.default_rng(SEED)
    out = []
    for _ in range(8):
        edges = regular(16, 3, rng)
        out.append(Qaoa(np.zeros(16), edges[:, 0], edges[:, 1], np.full(24, 3**-0.5)))
    return out


def dense_instances() -> list[Qaoa]:
    rng = np.random.default_rng(SEED)
    row, col = np.triu_indices(14, 1)
    scaled = [rng.normal(size=len(row)) for _ in range(12)]
    return [Qaoa(np.zeros(14), row, col, w / np.sqrt(13 * (w**2).mean())) for w in scaled]


def depths(instances: Sequence[Qaoa]) -> list[NDArray[np.float64]]:
    """Best common angles, (2, p), for p = 1 to LAYERS_MAX."""
    out: list[NDArray[np.float64]] = []
    for p in range(1, LAYERS_MAX + 1):
        start = interpolated(out[-1], p) if out else np.array([[0.5], [-0.39]])

        def mean(flat: NDArray[np.float64], p: int = p) -> tuple[float, NDArray[np.float64]]:
            found = [q.gradient(flat[:p], flat[p:]) for q in instances]
            slopes = [np.concatenate([f.gammas, f.betas]) for f in found]
            return float(np.mean([f.expectation for f in found])), np.mean(slopes, axis=0)

        best = minimize(mean, start.ravel(), jac=True, method="L-BFGS-B", options={"ftol": 1e-10})
        out.append(best.x.reshape(2, p))
    return out


def printed(name: str, meaning: str, angles: list[NDArray[np.float64]]) -> str:
    lines = [f"{name}: Table = {{"]
    for p, (gammas, betas) in enumerate(angles, start=1):
        rows = [" ".join(f"{value:.4f}" for value in row) for row in (gammas, betas)]
        lines += [f"    {p}: (", *(f'        "{row}",' for row in rows), "    ),"]
    return "\n".join([*lines, "}", f'"""{meaning}"""'])


def main() -> None:
    print(HEAD)
    print(printed("SPARSE", "Random 3-regular graphs.", depths(sparse_instances())))
    print()
    print(printed("DENSE", "Normal couplings between all spins.", depths(dense_instances())))


if __name__ == "__main__":
    main()
