"""What a back end must be able to do for a request, whatever its gates are: told by what it says of
itself. Gates, line and column are the back end's own check."""

from __future__ import annotations

from ketgate_server.quantum.base import BackendKind, Description, Precision, Unsuitable
from ketgate_server.quantum.work import Work


def check_features(work: Work, description: Description, *, at_provider: bool) -> None:
    """Raises Unsuitable, naming the feature."""
    name, can, options = description.name, description.capabilities, work.options

    def refuse(what: str, why: str) -> Unsuitable:
        return Unsuitable(name, what, why)

    # A simulator has no use for qubits that nothing acts on.
    simulates = description.kind is BackendKind.SIMULATOR and not at_provider
    count = work.num_active_qubits if simulates else work.num_qubits
    if count > description.num_qubits:
        raise refuse(f"{count} qubits", f"it has {description.num_qubits}")
    if description.shots_max and options.shots > description.shots_max:
        raise refuse(f"{options.shots} shots", f"it takes {description.shots_max} of a circuit")
    if description.circuits_max and work.executions > description.circuits_max:
        most = description.circuits_max
        raise refuse(f"{work.executions} circuits", f"it takes {most} of a request")
    if not options.shots and not can.exact:
        raise refuse("exact results (shots = 0)", "ask for shots")
    if options.state_vector and not can.state_vector:
        raise refuse("state vectors", "leave out state_vector")
    if work.device and work.device != name:
        why = "its emulator does: name that as the back end, or none"
        raise refuse(f"the noise of {work.device!r}", why)
    if options.noise is not None and not can.noise:
        raise refuse("noise of the request", "leave out noise, or choose a simulator that can")
    if options.precision is Precision.SINGLE and not can.single_precision:
        raise refuse("single precision", "leave out precision")
    if work.mitigation and work.observables and at_provider:
        raise refuse("mitigation of expectations", "mitigate counts, or choose an emulator")
    if work.gradients and (not can.exact or description.kind is not BackendKind.SIMULATOR):
        raise refuse("gradients", "choose a simulator with exact expectations")
