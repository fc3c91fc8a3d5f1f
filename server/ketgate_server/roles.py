"""The roles that a token can have."""

ROLES = {
    "admin": "Everything.",
    "artifacts.user": "Upload, read and delete artifacts.",
    "audit.reader": "Read the audit log: payloads of the own tenant, proofs of all.",
    "jobs.user": "Create, read, watch, cancel and delete jobs; a job also needs the role of its work.",
    "optimization.user": "Solve problems and list the solvers.",
    "quantum.qpu": "Spend money and time of quantum hardware: jobs on QPUs, beside quantum.user and jobs.user.",
    "quantum.user": "Run circuits and algorithms on simulators and emulators, and list the back ends.",
    "signing.admin": "Make, import, rotate, export and destroy keys, as far as their policies allow.",
    "signing.user": "Use keys, as far as their policies allow: sign, verify, encapsulate, seal, make codes.",
    "server.reader": "Read what the server is and can do.",
}
"""Every role, and what it allows."""
