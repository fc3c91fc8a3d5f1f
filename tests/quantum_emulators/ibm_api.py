"""IBM Quantum's REST interface on loopback, as far as the sampler of qiskit-ibm-runtime asks it, and
the parts of IBM Cloud that it asks first: tokens, search of instances, catalogue of plans.

One device, with the configuration and calibration that the SDK ships for a retired one of five
qubits. Jobs run on Aer without noise. A job moves one state further each time it is asked after.
"""

import base64
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from .http_service import Faults, Question, Reply, answer, json_reply

DEVICE = "ibm_manila"
CRN = "crn:v1:bluemix:public:quantum-computing:eu-de:a/1234:5678::"
KEY = "an-api-key-that-is-secret"
STATES = ["Queued", "Running", "Completed"]

_REFUSALS = {
    "throttled": (429, "Too many requests"),
    "expired": (401, f"The key {KEY} is expired"),
    "invalid": (400, "The circuit is too deep"),
    "internal": (500, "Internal error"),
    "unavailable": (503, "Maintenance"),
}


@dataclass
class Job:
    """One job."""

    id: str
    wanted: dict[str, Any]
    created: str
    result: str = ""
    state: int = 0
    ended: str = ""
    """Cancelled or Failed."""

    @property
    def status(self) -> str:
        return self.ended or STATES[self.state]


@dataclass
class IbmApi:
    """The service: give it to http_service.serving."""

    faults: Faults = field(default_factory=Faults)
    jobs: dict[str, Job] = field(default_factory=dict)
    plan: str = "Pay-as-you-go"
    status: str = "active"
    waits: bool = False
    """Jobs stay in the queue."""
    never_ends: bool = False
    hidden: bool = False
    """Searches do not show jobs yet."""
    fails: str = ""
    """Why jobs fail instead of running."""

    def __call__(self, question: Question) -> Reply:
        route = question.path.strip("/").split("/")
        if route[0] in ("identity", "v3", "api"):
            return self._cloud(question, route)
        assert question.headers["service-crn"] == CRN
        match question.method, route:
            case "GET", ["backends"]:
                return self._answer("ListBackends", self._backends)
            case "GET", ["backends", _, what]:
                return self._answer("GetBackend", lambda: self._backend(what))
            case "GET", ["instances", "usage"]:
                return self._answer("Usage", lambda: json_reply({}))
            case "POST", ["jobs"]:
                return self._answer("CreateJob", lambda: self._create(question))
            case "GET", ["jobs"]:
                return self._answer("ListJobs", lambda: self._list(question))
            case "GET", ["jobs", job]:
                whole = "exclude_params" not in question.query
                return self._answer("GetJob", lambda: self._get(job, whole))
            case "GET", ["jobs", job, "results"]:
                return self._answer("GetResults", lambda: self._results(job))
            case "GET", ["jobs", job, "metrics"]:
                return self._answer("GetMetrics", lambda: self._metrics(job))
            case "POST", ["jobs", job, "cancel"]:
                return self._answer("CancelJob", lambda: self._cancel(job))
        return refusal(404, f"{question.method} {question.path}")

    def _answer(self, operation: str, act: Any) -> Reply:
        return answer(self.faults, operation, act, lambda fault: refusal(*_REFUSALS[fault]))

    def _cloud(self, question: Question, route: list[str]) -> Reply:
        """What is not of the quantum service itself."""

        def act() -> Reply:
            if route[0] == "identity":
                issued = int(datetime.now(UTC).timestamp())
                times = {"iat": issued, "exp": issued + 3600}
                return json_reply(
                    {
                        "access_token": web_token(times),
                        "refresh_token": "another",
                        "token_type": "Bearer",
                        "expires_in": 3600,
                        "expiration": times["exp"],
                    }
                )
            if route[0] == "v3":
                found = {
                    "crn": CRN,
                    "name": "ours",
                    "tags": [],
                    "service_plan_unique_id": "plan",
                    "doc": {"extensions": {"backends": [DEVICE]}},
                }
                return json_reply({"items": [found], "limit": 100})
            names = {"en": {"display_name": self.plan}}
            return json_reply({"overview_ui": names, "metadata": {"pricing": {"type": "paygo"}}})

        return self._answer({"identity": "Token", "v3": "Search", "api": "Plan"}[route[0]], act)

    def _backends(self) -> Reply:
        return json_reply({"devices": [{"name": DEVICE, "queue_length": 3, "physical_qubits": 5}]})

    def _backend(self, what: str) -> Reply:
        if what == "status":
            told = {"backend_version": "1.1.4", "status": self.status, "length_queue": 3}
            return json_reply(told | {"state": self.status != "maintenance"})
        from qiskit_ibm_runtime.fake_provider.backends import manila

        file = {"configuration": "conf_manila.json", "properties": "props_manila.json"}[what]
        told = json.loads((Path(manila.__file__).parent / file).read_text())
        return json_reply(told | {"backend_name": DEVICE})

    def _create(self, question: Question) -> Reply:
        wanted = question.json
        job = Job(f"job{len(self.jobs)}", wanted, datetime.now(UTC).isoformat())
        self.jobs[job.id] = job
        job.result = self._run(question.body.decode())
        return json_reply({"id": job.id, "backend": wanted["backend"]})

    def _run(self, body: str) -> str:
        from qiskit.primitives import BackendSamplerV2
        from qiskit_aer import AerSimulator
        from qiskit_ibm_runtime.json import RuntimeDecoder, RuntimeEncoder

        pubs = json.loads(body, cls=RuntimeDecoder)["params"]["pubs"]
        sampler = BackendSamplerV2(backend=AerSimulator())
        result = sampler.run([(pub[0], None, pub[2]) for pub in pubs]).result()
        return json.dumps(result, cls=RuntimeEncoder)

    def _list(self, question: Question) -> Reply:
        tags = set(question.query.get("tags", []))
        found = [
            self._told(job)
            for job in self.jobs.values()
            if tags <= set(job.wanted.get("tags", [])) and not self.hidden
        ]
        return json_reply({"jobs": found, "count": len(found)})

    def _get(self, name: str, whole: bool) -> Reply:
        job = self.jobs.get(name)
        if job is None:
            return refusal(404, "Job not found")
        told = self._told(job) | ({"params": job.wanted["params"]} if whole else {})
        last = 0 if self.waits else len(STATES) - (2 if self.never_ends else 1)
        if not job.ended and job.state < last:
            job.state += 1
            if job.status == "Completed" and self.fails:
                job.ended = "Failed"
        return json_reply(told)

    def _results(self, name: str) -> Reply:
        job = self.jobs[name]
        text = self.fails if job.ended == "Failed" else job.result
        return 200, {"Content-Type": "text/plain"}, text.encode()

    def _metrics(self, name: str) -> Reply:
        times = {"created": "2026-11-01T12:00:00Z", "running": "2026-11-01T12:01:30.5Z"}
        used = {"qpu_charge_time_seconds": 2.5, "status": "completed"}
        return json_reply({"timestamps": times, "usage": used, "position_in_queue": 4})

    def _cancel(self, name: str) -> Reply:
        job = self.jobs[name]
        if job.ended or job.status == "Completed":
            return refusal(409, "The job is over")
        job.ended = "Cancelled"
        return 204, {}, b""

    def _told(self, job: Job) -> dict[str, Any]:
        state = {"status": job.status}
        if job.ended == "Failed":
            state["reason"] = self.fails
        return {
            "id": job.id,
            "backend": job.wanted["backend"],
            "state": state,
            "status": job.status,
            "program": {"id": "sampler"},
            "created": job.created,
            "tags": job.wanted.get("tags", []),
        }


def web_token(claims: dict[str, Any]) -> str:
    """A JSON web token; nobody checks its signature."""
    parts = [json.dumps(part).encode() for part in ({"alg": "HS256", "typ": "JWT"}, claims)]
    return ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in [*parts, b"x"])


def refusal(status: int, message: str) -> Reply:
    headers = {"Retry-After": "17"} if status == 429 else {}
    return json_reply({"error": {"message": message, "code": status}}, status, **headers)
