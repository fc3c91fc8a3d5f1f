"""Amazon Braket's REST interface on loopback, as far as tasks on devices of gates go.

The operations and their shapes are those of botocore's service model braket-2019-09-01. Tasks run on
the SDK's local simulator; results go to an S3 that the test brings. A task moves one state further
each time it is asked after, so that nothing here depends on time.
"""

import json
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from .http_service import Faults, Question, Reply, answer, json_reply

ACCOUNT = "123456789012"
FORTE = "arn:aws:braket:us-east-1::device/qpu/ionq/Forte-1"
ANKAA = "arn:aws:braket:us-west-1::device/qpu/rigetti/Ankaa-3"
AQUILA = "arn:aws:braket:us-east-1::device/qpu/quera/Aquila"
SV1 = "arn:aws:braket:::device/quantum-simulator/amazon/sv1"
PROGRAM, PROGRAM_SET = "braket.ir.openqasm.program", "braket.ir.openqasm.program_set"
STATES = ["CREATED", "QUEUED", "RUNNING", "COMPLETED"]
_FEW = ["x", "y", "z", "h", "s", "si", "t", "ti", "v", "vi", "rx", "ry", "rz", "cnot", "swap"]

_REFUSALS = {
    "throttled": (429, "ThrottlingException", "Rate exceeded"),
    "expired": (403, "ExpiredTokenException", "The security token AKIAIOSFODNN7EXAMPLE is expired"),
    "invalid": (400, "ValidationException", "The action is not valid"),
    "internal": (500, "InternalServiceException", "An internal error occurred"),
    "offline": (424, "DeviceOfflineException", "The device is offline"),
}


def _capabilities(qubits: int, gates: list[str], **more: Any) -> dict[str, Any]:
    return {
        "service": {
            "executionWindows": [],
            "shotsRange": [1, 5000],
            "updatedAt": "2026-11-01T12:00:00+00:00",
            "getTaskPollIntervalMillis": 200,
        }
        | more.pop("service", {}),
        "action": {PROGRAM: {"actionType": PROGRAM, "version": ["1"], "supportedOperations": gates}}
        | more.pop("action", {}),
        "paradigm": {"qubitCount": qubits} | more.pop("paradigm", {}),
        "deviceParameters": {},
    } | more


def _devices() -> dict[str, dict[str, Any]]:
    """As GetDevice tells them, cut to what is read."""
    one = {
        "T1": {"value": 2.0e-5, "unit": "S"},
        "T2": {"value": 1.5e-5, "unit": "S"},
        "oneQubitFidelity": [
            {"fidelityType": {"name": "RANDOMIZED_BENCHMARKING"}, "fidelity": 0.999},
            {"fidelityType": {"name": "READOUT"}, "fidelity": 0.97},
        ],
    }
    two = {"twoQubitGateFidelity": [{"gateName": "CZ", "fidelity": 0.98, "fidelityType": {}}]}
    ankaa = _capabilities(
        3,
        [*_FEW, "cz", "xy", "iswap", "cphaseshift", "ccnot"],
        action={PROGRAM_SET: {"maximumExecutables": 100, "maximumTotalShots": 100_000}},
        paradigm={"connectivity": {"connectivityGraph": {"0": ["1"], "1": ["3"], "3": []}}},
        standardized={
            "oneQubitProperties": {"0": one, "1": one, "3": one},
            "twoQubitProperties": {"0-1": two, "1-3": two},
        },
    )
    forte = _capabilities(
        36,
        [*_FEW, "xx", "yy", "zz"],
        service={"deviceCost": {"price": 0.08, "unit": "shot"}},
        paradigm={"connectivity": {"fullyConnected": True, "connectivityGraph": {}}},
    )
    sv1 = _capabilities(
        34, [*_FEW, "cz"], service={"deviceCost": {"price": 0.075, "unit": "minute"}}
    )
    told = [
        (FORTE, "Forte-1", "IonQ", "QPU", forte),
        (ANKAA, "Ankaa-3", "Rigetti", "QPU", ankaa),
        (AQUILA, "Aquila", "QuEra", "QPU", {"action": {"braket.ir.ahs.program": {}}}),
        (SV1, "SV1", "Amazon Braket", "SIMULATOR", sv1),
    ]
    return {
        arn: {
            "deviceArn": arn,
            "deviceName": name,
            "providerName": maker,
            "deviceType": kind,
            "deviceStatus": "ONLINE",
            "deviceCapabilities": json.dumps(capabilities),
            "deviceQueueInfo": [
                {"queue": "QUANTUM_TASKS_QUEUE", "queueSize": "13", "queuePriority": "Normal"},
                {"queue": "QUANTUM_TASKS_QUEUE", "queueSize": "2", "queuePriority": "Priority"},
                {"queue": "JOBS_QUEUE", "queueSize": "1"},
            ],
        }
        for arn, name, maker, kind, capabilities in told
    }


@dataclass
class Task:
    """One quantum task."""

    arn: str
    wanted: dict[str, Any]
    created: str
    state: int = 0
    ended: str = ""
    """FAILED or CANCELLED."""

    @property
    def status(self) -> str:
        return self.ended or STATES[self.state]


@dataclass
class BraketApi:
    """The service: give it to http_service.serving."""

    faults: Faults = field(default_factory=Faults)
    devices: dict[str, dict[str, Any]] = field(default_factory=_devices)
    tasks: dict[str, Task] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)
    never_ends: bool = False
    hidden: bool = False
    """Searches do not show tasks yet."""
    fails: str = ""
    """Why tasks fail instead of running."""

    def __call__(self, question: Question) -> Reply:
        region = question.headers["authorization"].split("/")[2]
        route = question.path.strip("/").split("/")
        operations = {
            ("POST", "devices"): ("SearchDevices", lambda: self._search_devices(region)),
            ("GET", "device"): ("GetDevice", lambda: self._device("/".join(route[1:]), region)),
            ("POST", "quantum-task"): ("CreateQuantumTask", lambda: self._create(question, region)),
            ("POST", "quantum-tasks"): ("SearchQuantumTasks", lambda: self._search(question)),
            ("GET", "quantum-task"): ("GetQuantumTask", lambda: self._get("/".join(route[1:]))),
            ("PUT", "quantum-task"): (
                "CancelQuantumTask",
                lambda: self._cancel("/".join(route[1:-1])),
            ),
        }
        name, act = operations[question.method, route[0]]
        return answer(self.faults, name, act, refused)

    def _seen_from(self, arn: str, region: str) -> bool:
        return arn.split(":")[3] in ("", region)

    def _search_devices(self, region: str) -> Reply:
        keys = ("deviceArn", "deviceName", "providerName", "deviceType", "deviceStatus")
        return json_reply(
            {
                "devices": [
                    {key: device[key] for key in keys}
                    for arn, device in self.devices.items()
                    if self._seen_from(arn, region)
                ]
            }
        )

    def _device(self, arn: str, region: str) -> Reply:
        if arn not in self.devices or not self._seen_from(arn, region):
            return refusal(404, "ResourceNotFoundException", "no such device")
        return json_reply(self.devices[arn])

    def _create(self, question: Question, region: str) -> Reply:
        wanted = question.json
        token = wanted["clientToken"]
        if token in self.tokens:
            known = self.tasks[self.tokens[token]]
            same = {**known.wanted, "action": None} == {**wanted, "action": None}
            if not same:
                return refusal(400, "ValidationException", "the client token was used for another")
            return json_reply({"quantumTaskArn": known.arn}, 201)
        arn = f"arn:aws:braket:{region}:{ACCOUNT}:quantum-task/{uuid.uuid4()}"
        self.tasks[arn] = Task(arn, wanted, datetime.now(UTC).isoformat())
        self.tokens[token] = arn
        return json_reply({"quantumTaskArn": arn}, 201)

    def _search(self, question: Question) -> Reply:
        filters = {one["name"]: one for one in question.json["filters"]}
        assert filters["createdAt"]["operator"] == "GTE"
        found = [
            self._told(task)
            for task in self.tasks.values()
            if task.wanted["deviceArn"] in filters["deviceArn"]["values"]
            and task.created >= filters["createdAt"]["values"][0]
            and not self.hidden
        ]
        first = int(question.json.get("nextToken") or 0)
        page = {"quantumTasks": found[first : first + 2]}
        more = {"nextToken": str(first + 2)} if first + 2 < len(found) else {}
        return json_reply(page | more)

    def _get(self, arn: str) -> Reply:
        task = self.tasks.get(arn)
        if task is None:
            return refusal(404, "ResourceNotFoundException", "no such task")
        told = self._told(task) | {
            "queueInfo": {"queue": "QUANTUM_TASKS_QUEUE", "position": "7"},
            "actionMetadata": {"actionType": PROGRAM},
        }
        if task.ended == "FAILED":
            told["failureReason"] = self.fails
        if not task.ended and task.state < len(STATES) - (2 if self.never_ends else 1):
            task.state += 1
            if task.status == "COMPLETED":
                self._run(task)
        return json_reply(told)

    def _cancel(self, arn: str) -> Reply:
        task = self.tasks[arn]
        if task.ended or task.status == "COMPLETED":
            return refusal(409, "ConflictException", "the task is over")
        task.ended = "CANCELLED"
        return json_reply({"quantumTaskArn": arn, "cancellationStatus": "CANCELLING"})

    def _told(self, task: Task) -> dict[str, Any]:
        return {
            "quantumTaskArn": task.arn,
            "status": task.status,
            "deviceArn": task.wanted["deviceArn"],
            "shots": task.wanted["shots"],
            "outputS3Bucket": task.wanted["outputS3Bucket"],
            "outputS3Directory": self._folder(task),
            "createdAt": task.created,
            "tags": task.wanted["tags"],
            "deviceParameters": "{}",
        }

    def _folder(self, task: Task) -> str:
        return f"{task.wanted['outputS3KeyPrefix']}/{task.arn.rsplit('/', 1)[1]}"

    def _run(self, task: Task) -> None:
        """On the local simulator; the result where the real service puts it."""
        import boto3
        from braket.default_simulator import StateVectorSimulator
        from braket.schema_common import BraketSchemaBase

        if self.fails:
            task.ended = "FAILED"
            return
        program = BraketSchemaBase.parse_raw_schema(task.wanted["action"])
        result = StateVectorSimulator().run(program, shots=int(task.wanted["shots"]))
        boto3.client("s3").put_object(
            Bucket=task.wanted["outputS3Bucket"],
            Key=f"{self._folder(task)}/results.json",
            Body=result.json().encode(),
        )


def refused(fault: str) -> Reply:
    return refusal(*_REFUSALS[fault])


def refusal(status: int, code: str, message: str) -> Reply:
    headers = {"x-amzn-ErrorType": code} | ({"Retry-After": "17"} if status == 429 else {})
    return json_reply({"message": message}, status, **headers)
