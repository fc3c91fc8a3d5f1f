"""Builds the Cython extensions of native/. All metadata stands in pyproject.toml.

An extension is one .pyx in native/ketgate_native plus the C sources named here. No -march flag: a C file that gains
from newer instructions is compiled once for each instruction set and chooses at run time, so one wheel runs everywhere.
"""

import os

from Cython.Build import cythonize
from setuptools import Extension, setup

NATIVE = "native/ketgate_native"
SOURCES = {
    "monitor": ["monitor.c"],
    "ising": [
        "monitor.c",
        "pool.c",
        "ising_entries.c",
        "ising_making.c",
        "ising_problem.c",
        "ising_run.c",
        "ising_block.c",
        "ising_anneal.c",
        "ising_tempering.c",
        "ising_tabu.c",
        "ising_graft.c",
        "ising_search.c",
        "ising_isa.c",
        "ising_isa_base.c",
        "ising_isa_avx2.c",
        "ising_isa_avx512.c",
    ],
    "qaoa": [
        "monitor.c",
        "qaoa_cut.c",
        "qaoa_state.c",
        "qaoa_run.c",
        *(f"qaoa_{isa}.c" for isa in ("base", "avx2", "avx512")),
        *(f"qaoa_{isa}_{p}.c" for isa in ("base", "avx2", "avx512") for p in ("double", "single")),
    ],
    "statevector": [
        "monitor.c",
        "sv_program.c",
        "sv_gate.c",
        "sv_fuse.c",
        "sv_matrix.c",
        "sv_plan.c",
        "sv_lower.c",
        "sv_state.c",
        "sv_run.c",
        "sv_measure.c",
        "sv_pauli.c",
        "sv_gradient.c",
        "sv_isa.c",
        "sv_isa_base.c",
        "sv_isa_avx2.c",
        "sv_isa_avx512.c",
    ],
    "qaoa_p1": ["monitor.c", "qaoa_p1.c"],
    "qaoa_xy": ["monitor.c", "qaoa_xy.c"],
    "feature": ["monitor.c", "feature.c", "feature_base.c", "feature_avx2.c", "feature_avx512.c"],
    "exhaustive": ["monitor.c", "exhaustive.c"],
    "oqs": ["monitor.c", "oqs.c", "oqs_secret.c"],
    "binary": ["monitor.c", "pool.c", "binary_problem.c", "binary_state.c", "binary_search.c"],
    "density": [
        "monitor.c",
        "dm_isa.c",
        "dm_isa_base.c",
        "dm_isa_avx2.c",
        "dm_isa_avx512.c",
        "dm_pauli.c",
        "dm_program.c",
        "dm_final.c",
        "dm_trajectory.c",
    ],
    "qp": [
        "monitor.c",
        *(
            "qp.c",
            "qp_problem.c",
            "qp_certify.c",
            "qp_core.c",
            "qp_kkt.c",
            "qp_pivot.c",
            "qp_path.c",
            "qp_frontier.c",
        ),
        *("linalg_base.c", "linalg_avx2.c", "linalg_avx512.c"),
    ],
    "miqp": [
        "monitor.c",
        "miqp.c",
        "miqp_setup.c",
        "miqp_pieces.c",
        "miqp_factor.c",
        "miqp_relax.c",
        "miqp_bound.c",
        "miqp_diagonal.c",
        "miqp_incumbent.c",
        "miqp_node.c",
        "miqp_heuristic.c",
        "miqp_tree.c",
        "miqp_perspective.c",
        "miqp_vector_base.c",
        "miqp_vector_avx2.c",
    ],
}

only = os.environ.get("KETGATE_EXTENSIONS", "").split()  # a developer's rebuild of a few
debug = bool(os.environ.get("KETGATE_DEBUG"))
compile_args = [
    "-std=gnu11",
    *(("-O0", "-g") if debug else ("-O3", "-g0")),
    "-fno-math-errno",
    "-ffp-contract=off",
    "-pthread",
]


def extension(name: str, sources: list[str]) -> Extension:
    return Extension(
        f"ketgate_native.{name}",
        [f"{NATIVE}/{name}.pyx", *(f"{NATIVE}/src/{source}" for source in sources)],
        include_dirs=[NATIVE],
        depends=[
            f"{NATIVE}/src/{header}"
            for header in sorted(os.listdir(f"{NATIVE}/src"))
            if not header.endswith(".c")
        ],
        extra_compile_args=compile_args,
        extra_link_args=["-pthread"],
        libraries=["m"],
    )


setup(
    options={"build_ext": {"parallel": os.cpu_count() or 1}},
    ext_modules=cythonize(
        [extension(name, sources) for name, sources in SOURCES.items() if not only or name in only],
        include_path=["native"],
        compiler_directives={"language_level": "3"},
    ),
)
