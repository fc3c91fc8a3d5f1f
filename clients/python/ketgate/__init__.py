"""Ketgate's Python client: optimisation over gRPC, with NumPy and pandas in and out.

>>> import ketgate
>>> with ketgate.connect() as client:
...     result = client.optimize.portfolio(prices, k=10, min_position=0.01, progress=True)
>>> result.weights, result.gap

Names are loaded when first used, so that generated stubs (`ketgate.optimization.v1` ...) can be had
without the rest.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ketgate import aio as aio
    from ketgate import specs as specs
    from ketgate._algorithm_result import AlgorithmResources as AlgorithmResources
    from ketgate._algorithm_result import Baseline as Baseline
    from ketgate._algorithm_result import ConvergencePoint as ConvergencePoint
    from ketgate._algorithm_result import QaoaResult as QaoaResult
    from ketgate._algorithm_result import Sample as Sample
    from ketgate._algorithm_result import VqeResult as VqeResult
    from ketgate._algorithms import Algorithms as Algorithms
    from ketgate._algorithms import Learning as Learning
    from ketgate._artifact_asks import Artifact as Artifact
    from ketgate._artifacts import Artifacts as Artifacts
    from ketgate._audit import Audit as Audit
    from ketgate._audit_check import VerifiedLog as VerifiedLog
    from ketgate._audit_entry import AuditEntry as AuditEntry
    from ketgate._audit_entry import TreeHead as TreeHead
    from ketgate._audit_log import InclusionProof as InclusionProof
    from ketgate._backends import BackendDescription as BackendDescription
    from ketgate._backends import Calibration as Calibration
    from ketgate._backends import GateCalibration as GateCalibration
    from ketgate._backends import Price as Price
    from ketgate._backends import QubitCalibration as QubitCalibration
    from ketgate._circuits import Program as Program
    from ketgate._client import Client as Client
    from ketgate._client import connect as connect
    from ketgate._document import DocumentVerdict as DocumentVerdict
    from ketgate._document import SignedDocument as SignedDocument
    from ketgate._errors import Aborted as Aborted
    from ketgate._errors import AlreadyExists as AlreadyExists
    from ketgate._errors import BackendUnavailable as BackendUnavailable
    from ketgate._errors import BackendUnsuitable as BackendUnsuitable
    from ketgate._errors import Cancelled as Cancelled
    from ketgate._errors import CapExceeded as CapExceeded
    from ketgate._errors import DataLoss as DataLoss
    from ketgate._errors import DeadlineExceeded as DeadlineExceeded
    from ketgate._errors import FailedPrecondition as FailedPrecondition
    from ketgate._errors import InternalError as InternalError
    from ketgate._errors import InvalidArgument as InvalidArgument
    from ketgate._errors import KetgateError as KetgateError
    from ketgate._errors import LimitExceeded as LimitExceeded
    from ketgate._errors import NoSolution as NoSolution
    from ketgate._errors import NotFound as NotFound
    from ketgate._errors import OutOfRange as OutOfRange
    from ketgate._errors import PartNotInstalled as PartNotInstalled
    from ketgate._errors import PermissionDenied as PermissionDenied
    from ketgate._errors import ProgramInvalid as ProgramInvalid
    from ketgate._errors import ProviderError as ProviderError
    from ketgate._errors import QuotaExceeded as QuotaExceeded
    from ketgate._errors import RateExceeded as RateExceeded
    from ketgate._errors import ServerBusy as ServerBusy
    from ketgate._errors import ServerNotFound as ServerNotFound
    from ketgate._errors import SolverUnsuitable as SolverUnsuitable
    from ketgate._errors import Unauthenticated as Unauthenticated
    from ketgate._errors import Unavailable as Unavailable
    from ketgate._estimate_result import EstimateResult as EstimateResult
    from ketgate._estimate_result import Expectation as Expectation
    from ketgate._events import Incumbent as Incumbent
    from ketgate._events import ProgressEvent as ProgressEvent
    from ketgate._evidence import Evidence as Evidence
    from ketgate._evidence import Money as Money
    from ketgate._evidence import Resources as Resources
    from ketgate._evidence import RunEstimate as RunEstimate
    from ketgate._evidence import RunTimes as RunTimes
    from ketgate._job import JobAttempt as JobAttempt
    from ketgate._job import JobEvent as JobEvent
    from ketgate._job import JobEventType as JobEventType
    from ketgate._job import JobList as JobList
    from ketgate._job import JobState as JobState
    from ketgate._job_requests import JobOptions as JobOptions
    from ketgate._jobs import DurableJob as DurableJob
    from ketgate._jobs import Jobs as Jobs
    from ketgate._key_types import Grant as Grant
    from ketgate._key_types import Key as Key
    from ketgate._key_types import KeyAlgorithm as KeyAlgorithm
    from ketgate._key_types import KeyChange as KeyChange
    from ketgate._key_types import KeyVersion as KeyVersion
    from ketgate._key_types import Policy as Policy
    from ketgate._key_types import Quorum as Quorum
    from ketgate._learning_result import Classification as Classification
    from ketgate._learning_result import ClassifierModel as ClassifierModel
    from ketgate._learning_result import ClassifierResult as ClassifierResult
    from ketgate._learning_result import KernelResult as KernelResult
    from ketgate._learning_result import Score as Score
    from ketgate._noise import Noise as Noise
    from ketgate._optimize import Optimize as Optimize
    from ketgate._options import SolveOptions as SolveOptions
    from ketgate._portfolio import PortfolioArguments as PortfolioArguments
    from ketgate._portfolio_constraints import Group as Group
    from ketgate._portfolio_constraints import Lots as Lots
    from ketgate._portfolio_model import Factors as Factors
    from ketgate._portfolio_result import Frontier as Frontier
    from ketgate._portfolio_result import FrontierResult as FrontierResult
    from ketgate._portfolio_result import PortfolioResult as PortfolioResult
    from ketgate._quantum import Quantum as Quantum
    from ketgate._quantum_options import RunOptions as RunOptions
    from ketgate._quantum_result import CircuitResult as CircuitResult
    from ketgate._quantum_result import RunResult as RunResult
    from ketgate._quantum_run import QuantumRun as QuantumRun
    from ketgate._result import BinaryResult as BinaryResult
    from ketgate._result import IsingResult as IsingResult
    from ketgate._result import LinearResult as LinearResult
    from ketgate._result import Result as Result
    from ketgate._retry import Retry as Retry
    from ketgate._search_result import AmplitudeEstimationResult as AmplitudeEstimationResult
    from ketgate._search_result import FactoringResult as FactoringResult
    from ketgate._search_result import FourierTransformResult as FourierTransformResult
    from ketgate._search_result import GroverResult as GroverResult
    from ketgate._search_result import PhaseEstimationResult as PhaseEstimationResult
    from ketgate._server import Estimate as Estimate
    from ketgate._server import Limit as Limit
    from ketgate._server import Parameter as Parameter
    from ketgate._server import Part as Part
    from ketgate._server import ServerInfo as ServerInfo
    from ketgate._server import SolverDescription as SolverDescription
    from ketgate._signing import Signing as Signing
    from ketgate._signing_types import Certificate as Certificate
    from ketgate._signing_types import Encapsulated as Encapsulated
    from ketgate._signing_types import ItemError as ItemError
    from ketgate._signing_types import Signature as Signature
    from ketgate._signing_types import Verdict as Verdict
    from ketgate._solution import Conflict as Conflict
    from ketgate._solution import PortfolioFigures as PortfolioFigures
    from ketgate._solution import Solution as Solution
    from ketgate._solution import SolverRun as SolverRun
    from ketgate._solution import Status as Status
    from ketgate._solution import StopReason as StopReason
    from ketgate._solution import TimeSplit as TimeSplit
    from ketgate._transpiled import TranspiledCircuit as TranspiledCircuit
    from ketgate._tree_head import AuditTampered as AuditTampered
    from ketgate._version import VERSION as __version__  # noqa: N811

_MODULES = {
    "_artifact_asks": ("Artifact",),
    "_artifacts": ("Artifacts",),
    "_audit": ("Audit",),
    "_audit_log": ("InclusionProof",),
    "_audit_check": ("VerifiedLog",),
    "_audit_entry": ("AuditEntry", "TreeHead"),
    "_client": ("Client", "connect"),
    "_document": ("DocumentVerdict", "SignedDocument"),
    "_errors": (
        "Aborted",
        "AlreadyExists",
        "DataLoss",
        "FailedPrecondition",
        "NotFound",
        "OutOfRange",
        "QuotaExceeded",
        "RateExceeded",
        "Cancelled",
        "DeadlineExceeded",
        "InternalError",
        "InvalidArgument",
        "KetgateError",
        "LimitExceeded",
        "NoSolution",
        "PartNotInstalled",
        "PermissionDenied",
        "ServerBusy",
        "ServerNotFound",
        "SolverUnsuitable",
        "Unauthenticated",
        "Unavailable",
        "BackendUnavailable",
        "BackendUnsuitable",
        "CapExceeded",
        "ProgramInvalid",
        "ProviderError",
    ),
    "_events": ("Incumbent", "ProgressEvent"),
    "_job": ("JobAttempt", "JobEvent", "JobEventType", "JobList", "JobState"),
    "_job_requests": ("JobOptions",),
    "_jobs": ("DurableJob", "Jobs"),
    "_optimize": ("Optimize",),
    "_options": ("SolveOptions",),
    "_portfolio": ("PortfolioArguments",),
    "_portfolio_constraints": ("Group", "Lots"),
    "_portfolio_model": ("Factors",),
    "_portfolio_result": ("Frontier", "FrontierResult", "PortfolioResult"),
    "_quantum_run": ("QuantumRun",),
    "_result": ("BinaryResult", "IsingResult", "LinearResult", "Result"),
    "_solution": (
        "Conflict",
        "PortfolioFigures",
        "Solution",
        "SolverRun",
        "Status",
        "StopReason",
        "TimeSplit",
    ),
    "_retry": ("Retry",),
    "_server": ("Estimate", "Limit", "Parameter", "Part", "ServerInfo", "SolverDescription"),
    "_algorithm_result": (
        "AlgorithmResources",
        "Baseline",
        "ConvergencePoint",
        "QaoaResult",
        "Sample",
        "VqeResult",
    ),
    "_algorithms": ("Algorithms", "Learning"),
    "_backends": (
        "BackendDescription",
        "Calibration",
        "GateCalibration",
        "Price",
        "QubitCalibration",
    ),
    "_circuits": ("Program",),
    "_evidence": ("Evidence", "Money", "Resources", "RunEstimate", "RunTimes"),
    "_learning_result": (
        "Classification",
        "ClassifierModel",
        "ClassifierResult",
        "KernelResult",
        "Score",
    ),
    "_quantum": ("Quantum",),
    "_noise": ("Noise",),
    "_quantum_options": ("RunOptions",),
    "_quantum_result": ("CircuitResult", "RunResult"),
    "_estimate_result": ("EstimateResult", "Expectation"),
    "_search_result": (
        "AmplitudeEstimationResult",
        "FactoringResult",
        "FourierTransformResult",
        "GroverResult",
        "PhaseEstimationResult",
    ),
    "_signing": ("Signing",),
    "_key_types": ("Grant", "Key", "KeyAlgorithm", "KeyChange", "KeyVersion", "Policy", "Quorum"),
    "_signing_types": ("Certificate", "Encapsulated", "ItemError", "Signature", "Verdict"),
    "_transpiled": ("TranspiledCircuit",),
    "_tree_head": ("AuditTampered",),
}
_HOME = {name: module for module, names in _MODULES.items() for name in names}
_SUBMODULES = ("aio", "specs")

__all__ = [
    "__version__",
    *_SUBMODULES,
    *_HOME,
]


def __getattr__(name: str) -> Any:
    if name in _SUBMODULES:
        return import_module(f"ketgate.{name}")
    if name == "__version__":
        return import_module("ketgate._version").VERSION
    if name not in _HOME:
        raise AttributeError(f"module 'ketgate' has no attribute {name!r}")
    value = getattr(import_module(f"ketgate.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
