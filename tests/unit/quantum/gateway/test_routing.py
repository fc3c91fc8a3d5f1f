"""Which back end is chosen, and what is told of the others."""

from dataclasses import replace

import pytest
from ketgate_server.errors import FieldError, KetgateError, LimitError, PartMissing, Reason
from ketgate_server.quantum.base import (
    BackendKind,
    BackendStatus,
    Calibration,
    Capabilities,
    GateCalibration,
    Precision,
    Price,
    QubitCalibration,
    Unsuitable,
)
from ketgate_server.quantum.catalogue import Catalogue
from ketgate_server.quantum.noise import NoiseModel
from ketgate_server.quantum.routing import _floor_s, what_there_is
from ketgate_server.quantum.work import Choice, Policy

from .fakes import ALL, BELL, CALLER, FakeBackend, FakeProvider, gateway, qpu, work


def chosen(of, *, durable=False, **more):
    """(name, [(passed over, why)])"""
    route, found = of.candidates(work(**more), CALLER, durable=durable)
    return next(found).entry.name, [(step.backend, step.reason) for step in route.steps]


def test_a_named_back_end_is_used_and_no_other_is_asked():
    a, b = FakeBackend("a", run_s=1.0), FakeBackend("b")
    assert chosen(gateway(a, b), choice=Choice("a")) == ("a", [])
    assert b.checks == 0


def test_by_latency_the_soonest_is_used():
    slow, fast = FakeBackend("a", run_s=2.0), FakeBackend("b", run_s=1.0)
    assert chosen(gateway(slow, fast))[0] == "b"


def test_what_could_not_be_sooner_is_not_asked():
    here, there = FakeBackend("z"), FakeBackend("a", isolated=True)
    assert chosen(gateway(here, there))[0] == "z"
    assert there.checks == 0


def test_heavy_work_goes_to_a_worker_that_is_faster():
    here, there = FakeBackend("a", run_s=9.0), FakeBackend("b", isolated=True, run_s=1.0)
    assert chosen(gateway(here, there))[0] == "b"


def test_a_worker_that_would_have_to_start_comes_later():
    cold, warm = FakeBackend("a", isolated=True), FakeBackend("b", isolated=True, run_s=1.0)
    cold.is_warm = False
    assert chosen(gateway(cold, warm))[0] == "b"
    cold.is_warm = True
    assert chosen(gateway(cold, warm))[0] == "a"


def test_who_cannot_do_it_is_passed_over_with_the_reason():
    no = FakeBackend("a", refuses=Unsuitable("a", "the gate 'ecr'", "it has no such gate"))
    name, steps = chosen(gateway(no, FakeBackend("b")))
    assert name == "b"
    assert steps == [("a", "the back end 'a' cannot do the gate 'ecr': it has no such gate")]


def test_a_named_one_that_cannot_is_refused_even_with_fail_over():
    no = FakeBackend("a", refuses=Unsuitable("a", "this", "no"))
    with pytest.raises(Unsuitable):
        chosen(gateway(no, FakeBackend("b")), choice=Choice("a", fail_over=True, allowed=("b",)))


def test_a_named_one_that_is_down_fails_over_to_those_allowed_only():
    down = FakeBackend("a", more={"status": BackendStatus.OFFLINE, "status_message": "asleep"})
    other = FakeBackend("b")
    of = gateway(down, other, FakeBackend("c"))
    name, steps = chosen(of, choice=Choice("a", fail_over=True, allowed=("c",)))
    assert name == "c"
    assert steps == [("a", "the back end 'a' is offline: asleep")]
    with pytest.raises(KetgateError) as refused:
        chosen(of, choice=Choice("a", allowed=("c",)))
    assert refused.value.reason is Reason.BACKEND_UNAVAILABLE
    assert refused.value.retry_after_s


def test_an_unknown_name_is_refused_with_the_nearest():
    with pytest.raises(FieldError, match="did you mean native") as refused:
        chosen(gateway(FakeBackend("native")), choice=Choice("natve"))
    assert refused.value.field == "spec.backend.backend"


def test_a_qpu_that_nobody_configured_is_refused_with_where_to():
    with pytest.raises(FieldError, match=r"configures hardware in \[quantum.ibm\], and none"):
        chosen(gateway(FakeBackend("native")), choice=Choice("ibm/ibm_torino"))
    there = gateway(FakeBackend("native"), providers=[FakeProvider("ibm", qpu("ibm/ibm_fez"))])
    with pytest.raises(FieldError, match="given ibm/ibm_fex; did you mean ibm/ibm_fez"):
        chosen(there, choice=Choice("ibm/ibm_fex"))


def test_emulators_and_qpus_are_used_only_where_they_are_named():
    emulator = FakeBackend("emulator/x", kind=BackendKind.EMULATOR)
    cloud = FakeProvider("cloud", qpu("cloud/q"))
    of = gateway(emulator, FakeBackend("z", run_s=50.0), providers=[cloud])
    assert chosen(of)[0] == "z"
    assert chosen(of, choice=Choice(allowed=("emulator/",)))[0] == "emulator/x"
    assert chosen(of, choice=Choice(allowed=("emulator/*", "z")))[0] == "emulator/x"
    assert chosen(of, device="emulator/x")[0] == "emulator/x"
    assert chosen(of, choice=Choice("cloud/q"), durable=True)[0] == "cloud/q"
    with pytest.raises(Unsuitable, match="create a job"):
        chosen(of, choice=Choice("cloud/q"))


def test_what_a_provider_simulates_is_work_for_jobs_too():
    fake = replace(qpu("cloud/fake"), kind=BackendKind.EMULATOR)
    of = gateway(FakeBackend("z"), providers=[FakeProvider("cloud", fake)])
    assert chosen(of, choice=Choice("cloud/fake"), durable=True)[0] == "cloud/fake"
    assert chosen(of)[0] == "z"
    with pytest.raises(Unsuitable, match="create a job"):
        chosen(of, choice=Choice("cloud/fake"))


def test_the_noise_of_a_device_is_added_by_its_emulator_only():
    of = gateway(FakeBackend("a"), FakeBackend("emulator/x", kind=BackendKind.EMULATOR))
    with pytest.raises(Unsuitable, match="its emulator does"):
        chosen(of, choice=Choice("a"), device="emulator/x")


def test_a_region_that_nothing_is_in_names_those_that_there_are():
    here = FakeBackend("a")
    far = FakeProvider("cloud", replace(qpu("cloud/q"), region="eu-west-2"))
    with pytest.raises(FieldError, match=r"regions: .*\(eu-west-2, local\), given mars") as refused:
        chosen(gateway(here, providers=[far]), choice=Choice(regions=("mars",)))
    assert refused.value.field == "spec.backend.regions"
    of = gateway(here)
    of.catalogue = Catalogue([here], [far])  # which has not told of its back ends yet
    with pytest.raises(KetgateError) as passed:
        chosen(of, choice=Choice(regions=("eu-west-2",)))
    assert not isinstance(passed.value, FieldError)


def test_a_back_end_that_there_is_not_names_near_ones_or_some():
    of = gateway(FakeBackend("native"), FakeBackend("aer"), FakeBackend("emulator/ibm_lima"))
    catalogue = of.catalogue
    assert what_there_is("natve", catalogue).startswith("did you mean native")
    told = what_there_is("nope", catalogue)
    assert told == "ListBackends tells them: aer, native and others"
    assert "[quantum.ibm]" in what_there_is("ibm/ibm_torino", catalogue)


def test_regions_are_kept():
    near = FakeBackend("a", more={"region": "local"})
    far = FakeBackend("b", more={"region": "mars"}, run_s=30.0)
    name, steps = chosen(gateway(near, far), choice=Choice(regions=("mars",)))
    assert name == "b"
    assert "it is in 'local'" in steps[0][1]


def test_by_fidelity_exact_simulators_come_first_then_the_best_calibrated():
    def device(name, error):
        gates = tuple(GateCalibration(g, q, error) for g, q in (("h", (0,)), ("cx", (0, 1))))
        more = {"calibration": Calibration(0, gates=gates)}
        return FakeBackend(name, kind=BackendKind.EMULATOR, more=more)

    of = gateway(device("e/bad", 0.1), device("e/good", 0.01), FakeBackend("z", run_s=9.0))
    best = {"policy": Policy.FIDELITY}
    assert chosen(of, choice=Choice(allowed=("e/", "z"), **best))[0] == "z"
    assert chosen(of, choice=Choice(allowed=("e/",), **best))[0] == "e/good"


@pytest.mark.parametrize(
    "calibration", [None, Calibration(0), Calibration(0, (QubitCalibration(0, 50.0),))]
)
def test_by_fidelity_a_device_that_tells_no_errors_comes_last(calibration):
    told = Calibration(0, gates=(GateCalibration("h", (0,), 0.1),))
    cloud = FakeProvider(
        "cloud", qpu("cloud/dark", calibration=calibration), qpu("cloud/told", calibration=told)
    )
    of = gateway(providers=[cloud])
    choice = Choice(allowed=("cloud/",), policy=Policy.FIDELITY)
    assert chosen(of, choice=choice, durable=True)[0] == "cloud/told"


def test_by_queue_and_by_price():
    cloud = FakeProvider(
        "cloud",
        qpu("cloud/busy", queue_depth=9, price=Price(per_task=1, source="s")),
        qpu("cloud/idle", queue_depth=2, price=Price(per_task=30, source="s")),
        qpu("cloud/dark", price=Price(per_task=40, source="s")),
    )
    of = gateway(providers=[cloud])

    def best(policy):
        choice = Choice(allowed=("cloud/",), policy=policy)
        return chosen(of, choice=choice, durable=True)[0]

    assert best(Policy.QUEUE) == "cloud/idle"
    assert best(Policy.PRICE) == "cloud/busy"


@pytest.mark.parametrize(
    ("can", "asked", "named"),
    [
        ({"exact": False}, {"shots": 0}, "exact results"),
        ({"noise": False}, {"options": {"noise": NoiseModel()}}, "noise"),
        (
            {"single_precision": False},
            {"options": {"precision": Precision.SINGLE}},
            "single precision",
        ),
        ({"state_vector": False}, {"options": {"state_vector": True}}, "state vectors"),
        ({"exact": False}, {"gradients": True}, "gradients"),
    ],
)
def test_features_are_checked_by_what_a_back_end_says_of_itself(can, asked, named):
    lacks = Capabilities(**vars(ALL) | can)
    of = gateway(FakeBackend("a", more={"capabilities": lacks}))
    with pytest.raises(Unsuitable, match=named):
        chosen(of, choice=Choice("a"), **asked)
    assert chosen(gateway(FakeBackend("a")), choice=Choice("a"), **asked)[0] == "a"


def test_qubits_shots_and_circuits_of_a_back_end_are_kept():
    for more, asked in (
        ({"num_qubits": 1}, {}),
        ({"shots_max": 9}, {}),
        ({"circuits_max": 1}, {"twice": True}),
    ):
        circuits = (BELL, BELL) if asked.pop("twice", False) else (BELL,)
        of = gateway(FakeBackend("a", more=more))
        with pytest.raises(Unsuitable):
            next(of.candidates(work(*circuits, choice=Choice("a")), CALLER)[1])


def test_memory_beyond_the_limit_is_refused_with_its_name():
    of = gateway(FakeBackend("a", memory_bytes=2000), limits={"quantum.memory_bytes_max": 1999})
    with pytest.raises(LimitError) as refused:
        chosen(of)
    assert refused.value.limit == "quantum.memory_bytes_max"


def test_a_part_that_is_not_installed_is_named(monkeypatch):
    monkeypatch.setattr("ketgate_server.quantum.catalogue.part_version", lambda _: None)
    monkeypatch.setattr("ketgate_server.quantum.routing.part_version", lambda _: None)
    of = gateway(FakeBackend("a", more={"part": "highs"}))
    description = of.catalogue.get("a").describe()
    assert description.status is BackendStatus.UNAVAILABLE
    assert "pip install highspy" in description.status_message
    with pytest.raises(PartMissing, match="pip install highspy"):
        chosen(of, choice=Choice("a"))


def test_when_none_is_left_every_reason_is_told():
    down = FakeBackend("a", more={"status": BackendStatus.OFFLINE, "status_message": "asleep"})
    no = FakeBackend("b", refuses=Unsuitable("b", "this", "why not"))
    with pytest.raises(KetgateError) as refused:
        chosen(gateway(down, no))
    assert refused.value.reason is Reason.BACKEND_UNAVAILABLE
    assert "asleep" in refused.value.message
    assert "why not" in refused.value.message
    with pytest.raises(KetgateError) as refused:
        chosen(gateway(no, FakeBackend("c", refuses=Unsuitable("c", "that", "nor this"))))
    assert refused.value.reason is Reason.BACKEND_UNSUITABLE
    with pytest.raises(FieldError, match="allowed"):
        chosen(gateway(no), choice=Choice(allowed=("nobody",)))


def test_disabled_back_ends_are_not_there():
    of = gateway(FakeBackend("a"), FakeBackend("b"), disabled=("a*",))
    assert [entry.name for entry in of.catalogue.entries()] == ["b"]


def test_what_is_sooner_here_is_told_by_a_bound_that_holds():
    entry = gateway(FakeBackend("a", isolated=True)).catalogue.get("a")
    assert _floor_s(entry) > 0.0
