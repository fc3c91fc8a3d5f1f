"""What `import ketgate` offers and loads: both are promises, so both stand here in full."""

import inspect
import subprocess
import sys

import ketgate
import pytest

EXPORTS = [
    "Certificate",
    "Encapsulated",
    "Grant",
    "ItemError",
    "Key",
    "KeyAlgorithm",
    "KeyChange",
    "KeyVersion",
    "Policy",
    "Quorum",
    "RateExceeded",
    "Signature",
    "Signing",
    "Verdict",
    "AlgorithmResources",
    "AmplitudeEstimationResult",
    "Baseline",
    "ConvergencePoint",
    "FactoringResult",
    "FourierTransformResult",
    "GroverResult",
    "PhaseEstimationResult",
    "QaoaResult",
    "Sample",
    "VqeResult",
    "Algorithms",
    "Learning",
    "BackendDescription",
    "Calibration",
    "GateCalibration",
    "Price",
    "QubitCalibration",
    "Program",
    "Evidence",
    "Money",
    "Resources",
    "RunEstimate",
    "RunTimes",
    "Classification",
    "ClassifierModel",
    "ClassifierResult",
    "KernelResult",
    "Score",
    "Quantum",
    "Noise",
    "RunOptions",
    "CircuitResult",
    "EstimateResult",
    "Expectation",
    "RunResult",
    "QuantumRun",
    "TranspiledCircuit",
    "BackendUnavailable",
    "BackendUnsuitable",
    "CapExceeded",
    "ProgramInvalid",
    "ProviderError",
    "Artifact",
    "Artifacts",
    "DocumentVerdict",
    "SignedDocument",
    "JobAttempt",
    "JobEvent",
    "JobEventType",
    "JobList",
    "JobState",
    "DurableJob",
    "Jobs",
    "JobOptions",
    "Aborted",
    "AlreadyExists",
    "DataLoss",
    "FailedPrecondition",
    "NotFound",
    "OutOfRange",
    "QuotaExceeded",
    "__version__",
    "Audit",
    "AuditEntry",
    "AuditTampered",
    "BinaryResult",
    "Cancelled",
    "Client",
    "Conflict",
    "DeadlineExceeded",
    "Estimate",
    "Factors",
    "Frontier",
    "FrontierResult",
    "Group",
    "InclusionProof",
    "Incumbent",
    "InternalError",
    "InvalidArgument",
    "IsingResult",
    "KetgateError",
    "Limit",
    "LimitExceeded",
    "LinearResult",
    "Lots",
    "NoSolution",
    "Optimize",
    "Parameter",
    "Part",
    "PartNotInstalled",
    "PermissionDenied",
    "PortfolioArguments",
    "PortfolioFigures",
    "PortfolioResult",
    "ProgressEvent",
    "Result",
    "Retry",
    "ServerBusy",
    "ServerInfo",
    "ServerNotFound",
    "Solution",
    "SolveOptions",
    "SolverDescription",
    "SolverRun",
    "SolverUnsuitable",
    "Status",
    "StopReason",
    "TimeSplit",
    "TreeHead",
    "Unauthenticated",
    "Unavailable",
    "VerifiedLog",
    "aio",
    "connect",
    "specs",
]

THIRD_PARTY_ALLOWED = {
    "ketgate", "google", "google_crc32c", "grpc", "numpy", "cython_runtime", "_cython_3_2_4", "typing_extensions",
    "grpc_health", "grpc_reflection", "grpc_tools", "grpc_status",  # grpc itself looks for its companions
}  # fmt: skip


def loaded_by(statement: str) -> set[str]:
    """Top-level modules outside the standard library that a statement loads in a fresh interpreter."""
    code = (
        f"{statement}\nimport sys\n"
        "print(*{m.partition('.')[0] for m in sys.modules} - set(sys.stdlib_module_names))"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    names = set(answer.stdout.split())
    return {name for name in names if not name.startswith(("_", "__editable__", "sitecustomize"))}


def test_exported_names_are_those_of_the_list() -> None:
    assert sorted(ketgate.__all__) == sorted(EXPORTS)
    assert dir(ketgate) == sorted(EXPORTS)
    for name in EXPORTS:
        assert getattr(ketgate, name) is not None


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="portfolio_magic"):
        ketgate.portfolio_magic  # noqa: B018


def test_plain_import_loads_nothing_else() -> None:
    assert loaded_by("import ketgate") == {"ketgate"}


def test_everything_public_needs_only_the_declared_dependencies() -> None:
    loaded = loaded_by("import ketgate\nfor name in ketgate.__all__: getattr(ketgate, name)")
    assert loaded <= THIRD_PARTY_ALLOWED
    assert {"numpy", "grpc", "google"} <= loaded


def test_stubs_can_be_had_without_the_client() -> None:
    code = "import ketgate.optimization.v1.solver_pb2, sys; assert 'ketgate._client' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_version_is_that_of_the_distribution() -> None:
    from importlib.metadata import version

    assert ketgate.__version__ == version("ketgate")


def test_both_clients_have_the_same_methods() -> None:
    for ours, theirs in (
        (ketgate.Client, ketgate.aio.Client),
        (ketgate.Optimize, ketgate.aio.Optimize),
        (ketgate.Audit, ketgate.aio.Audit),
        (ketgate.Artifacts, ketgate.aio.Artifacts),
        (ketgate.Jobs, ketgate.aio.Jobs),
        (ketgate.DurableJob, ketgate.aio.DurableJob),
        (ketgate.Quantum, ketgate.aio.Quantum),
        (ketgate.Algorithms, ketgate.aio.Algorithms),
        (ketgate.Learning, ketgate.aio.Learning),
        (ketgate.Signing, ketgate.aio.Signing),
    ):
        public = {name for name in vars(ours) if not name.startswith("_")}
        assert public == {name for name in vars(theirs) if not name.startswith("_")}
        for name in public:
            mine, other = (
                list(inspect.signature(vars(c)[name]).parameters) for c in (ours, theirs)
            )
            assert mine == other, name


def test_signature_and_description_show_every_option() -> None:
    signature = inspect.signature(ketgate.Optimize.portfolio)
    assert {"prices", "k", "min_position", "objective", "time_limit", "progress"} <= set(
        signature.parameters
    )
    assert {"risk_aversion", "durable", "labels", "deadline"} <= set(signature.parameters)
    assert "priority:" in (ketgate.aio.Optimize.ising.__doc__ or "")
    assert "min_position:" in (ketgate.Optimize.portfolio.__doc__ or "")
    assert "time_limit:" in (ketgate.Optimize.qubo.__doc__ or "")
    assert "self" not in inspect.signature(ketgate.specs.qubo).parameters
    for described in (ketgate.Quantum.run, ketgate.aio.Algorithms.vqe, ketgate.Learning.train):
        assert {"backend", "seed", "caps", "durable"} <= set(
            inspect.signature(described).parameters
        )
        assert "policy:" in (described.__doc__ or "")
        assert "work_limit" not in (described.__doc__ or "")
