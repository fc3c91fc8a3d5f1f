"""Estimates of cost, time and fidelity, and the caps that hold them."""

import pytest
from ketgate_server.errors import FieldError, KetgateError, Reason
from ketgate_server.quantum.base import (
    Calibration,
    GateCalibration,
    Price,
    QubitCalibration,
    Unsuitable,
)
from ketgate_server.quantum.circuit import Circuit, Gate, Measure
from ketgate_server.quantum.estimate import Speed, expected_fidelity
from ketgate_server.quantum.observable import PauliSum, PauliTerm
from ketgate_server.quantum.work import Caps, Choice, Mitigation, Money

from .fakes import BELL, CALLER, FakeBackend, FakeProvider, gateway, qpu, work

PRICE = Price("USD", per_task=30, per_million_shots=35_000, per_minute=0, source="a page")
XX_ZZ = (PauliSum((PauliTerm(1.0, 3, 0), PauliTerm(1.0, 0, 3))),)


def at_cloud(**more):
    return gateway(providers=[FakeProvider("cloud", qpu("cloud/q", price=PRICE))], **more)


def estimate(of, *circuits, **more):
    asked = work(*circuits, choice=Choice("cloud/q"), **more)
    return of.estimate(asked, CALLER, durable=True)[0]


def refusal(of, **more):
    with pytest.raises(KetgateError) as refused:
        estimate(of, **more)
    assert refused.value.reason is Reason.CAP_EXCEEDED
    return refused.value


def test_cost_follows_the_price_and_is_rounded_up():
    of = at_cloud()
    assert estimate(of, shots=1000).cost == Money("USD", 65)
    assert estimate(of, shots=1).cost == Money("USD", 31)
    assert estimate(of, BELL, BELL, shots=1000).cost == Money("USD", 130)


def test_each_group_of_observables_and_each_noise_factor_is_a_circuit():
    of = at_cloud()
    found = estimate(of, shots=1000, observables=XX_ZZ)
    assert (found.shots, found.cost) == (2000, Money("USD", 130))
    folded = Mitigation(noise_factors=(1.0, 3.0, 5.0))
    here = gateway(FakeBackend("a"))
    asked = work(shots=1000, observables=XX_ZZ, mitigation=folded)
    assert here.estimate(asked, CALLER)[0].shots == 6000
    with pytest.raises(Unsuitable, match="mitigation of expectations"):
        estimate(of, shots=1000, observables=XX_ZZ, mitigation=folded)


def test_caps_of_the_request_name_themselves():
    of = at_cloud()
    caps = Caps(cost_max=Money("USD", 64))
    assert refusal(of, shots=1000, caps=caps).limit == "spec.caps.cost_max"
    assert estimate(of, shots=1000, caps=Caps(cost_max=Money("USD", 65)))
    assert refusal(of, shots=10, caps=Caps(shots_max=9)).limit == "spec.caps.shots_max"
    seconds = Caps(device_seconds_max=0.5)
    assert refusal(of, shots=10, caps=seconds).limit == "spec.caps.device_seconds_max"


def test_a_cap_in_another_currency_is_refused():
    with pytest.raises(FieldError, match="expected USD"):
        estimate(at_cloud(), caps=Caps(cost_max=Money("EUR", 10_000)))


def test_limits_of_the_server_name_themselves():
    of = at_cloud(limits={"quantum.cost_minor_units_max": 64})
    assert refusal(of, shots=1000).limit == "quantum.cost_minor_units_max"
    of = at_cloud(limits={"quantum.device_seconds_max": 1})
    assert refusal(of, shots=1000).limit == "quantum.device_seconds_max"


def test_what_a_tenant_spent_counts():
    of = at_cloud(limits={"quantum.tenant_cost_minor_units_max": 100})
    assert estimate(of, shots=1000)
    of.spent = lambda tenant: {"USD": 36 if tenant == "t" else 0, "EUR": 10**9}
    refused = refusal(of, shots=1000)
    assert refused.limit == "quantum.tenant_cost_minor_units_max"
    assert "36 minor units" in refused.message


def test_simulators_are_free_whatever_the_caps():
    of = gateway(FakeBackend("a"))
    caps = Caps(cost_max=Money("EUR", 0))
    found, _ = of.estimate(work(caps=caps), CALLER)
    assert (found.cost, found.device_s) == (None, 0.0)


def test_device_time_grows_with_shots_and_depth():
    of = at_cloud()
    short, long = estimate(of, shots=1000).device_s, estimate(of, shots=2000).device_s
    deep = Circuit(2, 2, BELL.operations[:2] * 500 + BELL.operations[2:])
    assert short < long
    assert estimate(of, deep, shots=2000).device_s > long


CALIBRATION = Calibration(
    0,
    qubits=(QubitCalibration(0, p1_given_0=0.02, p0_given_1=0.04), QubitCalibration(1)),
    gates=(
        GateCalibration("h", (0,), 0.001),
        GateCalibration("h", (1,), 0.003),
        GateCalibration("cx", (0, 1), 0.01),
        GateCalibration("cx", (1, 2), 1.0),
    ),
    digest="d",
)


def test_expected_fidelity_is_the_product_of_what_goes_well():
    circuit = Circuit(2, 1, (Gate("h", (0,)), Gate("cx", (0, 1)), Measure(0, 0)))
    assert expected_fidelity([circuit], CALIBRATION) == pytest.approx(0.999 * 0.99 * 0.97)


def test_what_was_not_calibrated_has_typical_errors():
    strange = Circuit(3, 1, (Gate("t", (2,)), Gate("cx", (0, 2)), Measure(1, 0)))
    # A broken gate is not typical.
    assert expected_fidelity([strange], CALIBRATION) == pytest.approx(0.998 * 0.99 * 0.97)
    three = Circuit(3, 0, (Gate("ccx", (0, 1, 2)),))
    assert expected_fidelity([three], CALIBRATION) == pytest.approx(0.94)


def test_speed_is_a_mean_of_ratios_within_bounds():
    speed = Speed()
    for _ in range(100):
        speed.note(1.0, 3.0)
    assert speed.correction == pytest.approx(3.0, rel=1e-3)
    for _ in range(100):
        speed.note(1.0, 1e9)
    assert speed.correction <= 100.0
    speed = Speed()
    speed.note(1.0, 1e-6)
    assert speed.correction == 1.0


def test_a_device_without_a_price_is_not_free():
    of = gateway(providers=[FakeProvider("cloud", qpu("cloud/q"))])
    told = refusal(of, caps=Caps(cost_max=Money("USD", 10_000))).message
    assert "the estimate is not known: cloud/q tells no price" in told
    assert estimate(of).cost is None
