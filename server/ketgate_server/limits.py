"""Every limit of the server, in one table. GetServerInfo exports it; a configuration may lower or
raise a value."""

from dataclasses import dataclass

MIB = 1 << 20


@dataclass(frozen=True)
class Limit:
    value: int
    unit: str
    description: str


LIMITS: dict[str, Limit] = {
    "rpc.message_bytes_max": Limit(
        64 * MIB, "bytes", "Largest request message; larger arrays are to be uploaded."
    ),
    "rpc.calls_max": Limit(
        256,
        "count",
        "Calls in progress at once, streams included; waits and watches have their own.",
    ),
    "rpc.streams_max": Limit(128, "count", "Streams in progress at once, watches left out."),
    "rpc.waits_max": Limit(1_024, "count", "Long polls in progress at once."),
    "rpc.watches_max": Limit(1_200, "count", "Watches in progress at once."),
    "rpc.health_calls_max": Limit(
        64, "count", "Health checks and watches in progress at once; they need no token."
    ),
    "rpc.requests_bytes_max": Limit(
        512 * MIB, "bytes", "Requests of all calls in progress together."
    ),
    "rpc.metadata_bytes_max": Limit(16 * 1024, "bytes", "Metadata of one call."),
    "optimization.solves_max": Limit(8, "count", "Solves running at once."),
    "optimization.solves_queued_max": Limit(
        32, "count", "Solves waiting for a slot; one more is refused at once."
    ),
    "optimization.time_limit_ms_max": Limit(
        3_600_000, "milliseconds", "Longest time limit of a solve."
    ),
    "optimization.spins_max": Limit(1_000_000, "count", "Spins or binaries of a problem."),
    "optimization.couplings_max": Limit(8_000_000, "count", "Couplings of a problem."),
    "optimization.names_max": Limit(
        5_000, "count", "Names of a portfolio with a dense covariance."
    ),
    "optimization.factor_names_max": Limit(
        100_000, "count", "Names of a portfolio in factor form."
    ),
    "optimization.periods_max": Limit(100_000, "count", "Periods of a price history."),
    "optimization.groups_max": Limit(1_000, "count", "Groups of a portfolio."),
    "optimization.variables_max": Limit(
        1_000_000, "count", "Variables of a linear or mixed-integer program."
    ),
    "optimization.rows_max": Limit(1_000_000, "count", "Rows of a program."),
    "optimization.nonzeros_max": Limit(
        8_000_000, "count", "Nonzero coefficients of a program's rows."
    ),
    "optimization.pool_size_max": Limit(1_000, "count", "Solutions of one answer."),
    "optimization.solvers_max": Limit(8, "count", "Solvers racing in one solve."),
    "optimization.memory_bytes_max": Limit(
        4096 * MIB, "bytes", "Memory that one solve may be estimated to need."
    ),
    "quantum.runs_max": Limit(8, "count", "Quantum runs, simulated here, at once."),
    "quantum.runs_queued_max": Limit(
        32, "count", "Quantum runs waiting for a slot; one more is refused at once."
    ),
    "quantum.time_limit_ms_max": Limit(
        3_600_000, "milliseconds", "Longest time limit of a quantum run in this server."
    ),
    "quantum.memory_bytes_max": Limit(
        4096 * MIB, "bytes", "Memory that one quantum run may be estimated to need."
    ),
    "quantum.runs_memory_bytes_max": Limit(
        8192 * MIB,
        "bytes",
        "Memory that all quantum runs at once may be estimated to need; one more waits.",
    ),
    "quantum.program_bytes_max": Limit(4 * MIB, "bytes", "Text of one circuit."),
    "quantum.programs_bytes_max": Limit(
        32 * MIB, "bytes", "Text of a request's circuits together."
    ),
    "quantum.program_qubits_max": Limit(
        4_096, "count", "Qubits that a circuit declares, and as many bits."
    ),
    "quantum.operations_max": Limit(
        1_000_000, "count", "Operations of a circuit, its loops and gates written out."
    ),
    "quantum.circuits_max": Limit(1_000, "count", "Circuits of one request."),
    "quantum.shots_max": Limit(1_000_000, "count", "Shots of one circuit."),
    "quantum.observables_max": Limit(10_000, "count", "Observables of one request."),
    "quantum.pauli_terms_max": Limit(
        100_000, "count", "Terms of the observables of one request together, or of a Hamiltonian."
    ),
    "quantum.state_qubits_max": Limit(
        20, "count", "Qubits of a state vector, or bits of exact probabilities, in an answer."
    ),
    "quantum.density_qubits_max": Limit(12, "count", "Active qubits of an exact density matrix."),
    "quantum.layers_max": Limit(1_000, "count", "Layers of a variational circuit."),
    "quantum.search_qubits_max": Limit(24, "count", "Qubits of a searched space."),
    "quantum.factor_max": Limit(
        1_023, "count", "Largest number to factor: the circuit has about three times its bits."
    ),
    "quantum.cost_minor_units_max": Limit(
        10_000,
        "minor units",
        "What one request may be estimated to cost, in cents or what the price's currency has.",
    ),
    "quantum.tenant_cost_minor_units_max": Limit(
        100_000, "minor units", "What one tenant's runs may cost together in 30 days."
    ),
    "quantum.device_seconds_max": Limit(
        3_600, "seconds", "Device time of a QPU that one request may be estimated to take."
    ),
    "jobs.unfinished_max": Limit(
        100_000, "count", "Jobs of one tenant that are not over; one more is refused."
    ),
    "jobs.attempts_max": Limit(
        5,
        "count",
        "Attempts that may end by a fault of a provider or of a server; then a job fails.",
    ),
    "jobs.losses_max": Limit(
        3, "count", "Attempts in a row whose worker may die; then a job fails."
    ),
    "jobs.losses_lived_minutes": Limit(
        10,
        "minutes",
        "An attempt whose worker lived longer does not count as such, and the count begins anew.",
    ),
    "jobs.provider_cancel_minutes": Limit(
        10,
        "minutes",
        "How long a provider has to cancel the work of a job that was cancelled or is too late.",
    ),
    "jobs.events_max": Limit(
        10_000_000, "count", "Changes of jobs that are kept, whatever their age."
    ),
    "artifacts.bytes_max": Limit(16_384 * MIB, "bytes", "Largest artifact."),
    "artifacts.tenant_bytes_max": Limit(
        65_536 * MIB, "bytes", "Artifacts of one tenant together, uploads under way included."
    ),
    "artifacts.uploads_max": Limit(64, "count", "Uploads of one tenant under way at once."),
    "artifacts.unused_hours_max": Limit(
        24, "hours", "How long an artifact is kept that nothing refers to, and a halted upload."
    ),
    "artifacts.inline_bytes_max": Limit(
        4 * MIB, "bytes", "Larger arrays of a job's result become artifacts."
    ),
    "artifacts.referenced_bytes_max": Limit(
        4096 * MIB, "bytes", "Artifacts that one spec may refer to, together."
    ),
    "artifacts.cache_bytes_max": Limit(
        4096 * MIB,
        "bytes",
        "Content from a bucket that a server, or a worker process, keeps on its disk for reuse.",
    ),
    "signing.message_bytes_max": Limit(
        16 * MIB, "bytes", "Largest message of one signature or code; larger ones come as a stream."
    ),
    "signing.stream_bytes_max": Limit(
        1_048_576 * MIB, "bytes", "Largest message that is signed or verified as a stream."
    ),
    "signing.caller_streams_max": Limit(
        32,
        "count",
        "Messages that one token signs or verifies as streams at once; never above half of rpc.streams_max.",
    ),
    "signing.batch_items_max": Limit(10_000, "count", "Items of a batch."),
    "signing.batches_max": Limit(
        8, "count", "Batches computed at once; they share the processors."
    ),
    "signing.batches_queued_max": Limit(
        64, "count", "Batches waiting for a slot; one more is refused at once."
    ),
    "signing.caller_batches_max": Limit(
        32,
        "count",
        "Batches of one token that run or wait at once; never above half of all that may.",
    ),
    "signing.keys_max": Limit(100_000, "count", "Keys of one tenant."),
    "signing.versions_max": Limit(1_000, "count", "Versions of one key."),
    "signing.changes_max": Limit(1_000, "count", "Changes of one tenant that wait for approvals."),
    "signing.wrapping_keys_max": Limit(100, "count", "Wrapping keys of one tenant at once."),
}
