"""Correction of readout: exact inverses, the reduced way against mthree's, unbiased means."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ketgate_server.errors import KetgateError
from ketgate_server.quantum.mitigation import readout

FLIPS = {0: (0.02, 0.05), 1: (0.1, 0.03), 2: (0.0, 0.2)}


def misread(shares, flips):
    """Probabilities of what is read, bit by bit."""
    out = dict(shares)
    for bit, (p10, p01) in flips.items():
        after: dict[int, float] = {}
        for outcome, share in out.items():
            wrong = p01 if (outcome >> bit) & 1 else p10
            after[outcome] = after.get(outcome, 0.0) + share * (1 - wrong)
            after[outcome ^ (1 << bit)] = after.get(outcome ^ (1 << bit), 0.0) + share * wrong
        out = after
    return out


@given(seed=st.integers(0, 10**6))
@settings(max_examples=25, deadline=None)
def test_the_inverse_gives_back_what_was(seed):
    rng = np.random.default_rng(seed)
    true = dict(enumerate(rng.dirichlet(np.ones(8)).tolist()))
    counts = {k: round(p * 10**12) for k, p in misread(true, FLIPS).items()}
    found = readout.corrected_counts(counts, FLIPS)
    assert sum(found.values()) == pytest.approx(1)
    for outcome, share in true.items():
        assert found.get(outcome, 0.0) == pytest.approx(share, abs=1e-9)


def test_bits_that_are_read_well_stay_apart():
    counts = {0b1000: 600, 0b0001: 400}
    found = readout.corrected_counts(counts, {0: (0.1, 0.1)})
    assert found[0b1000] + found[0b1001] == pytest.approx(0.6)
    assert found[0b0000] + found[0b0001] == pytest.approx(0.4)
    assert readout.corrected_counts(counts, {5: (0.0, 0.0)}) == {0b1000: 0.6, 0b0001: 0.4}


def test_nothing_measured_is_nothing():
    assert readout.corrected_counts({}, FLIPS) == {}


@pytest.fixture
def many_bits():
    """Counts of a GHZ state on 12 bits, read with errors; more bits than are inverted whole."""
    rng = np.random.default_rng(3)
    flips = {bit: (0.01 + 0.003 * bit, 0.05 - 0.002 * bit) for bit in range(12)}
    bits = np.repeat(rng.integers(0, 2, (4000, 1)), 12, axis=1)
    wrong = np.array([[flips[b][v] for b in range(12)] for v in (0, 1)])
    bits ^= rng.random(bits.shape) < np.where(bits, wrong[1], wrong[0])
    values, times = np.unique(bits @ (1 << np.arange(12)), return_counts=True)
    return flips, dict(zip(values.tolist(), times.tolist(), strict=True))


@pytest.mark.filterwarnings("ignore")
def test_the_reduced_way_is_that_of_mthree(many_bits):
    mthree = pytest.importorskip("mthree", reason="mthree is not installed")
    flips, counts = many_bits
    mitigator = mthree.M3Mitigation()
    mitigator.cals_from_matrices([np.array([[1 - a, b], [a, 1 - b]]) for a, b in flips.values()])
    texts = {format(outcome, "012b"): count for outcome, count in counts.items()}
    theirs = mitigator.apply_correction(texts, range(12), method="direct")
    found = readout.corrected_counts(counts, flips)
    for text, share in theirs.items():
        assert found[int(text, 2)] == pytest.approx(share, abs=1e-6)


def test_without_the_whole_matrix_it_is_the_same(many_bits, monkeypatch):
    flips, counts = many_bits
    direct = readout.corrected_counts(counts, flips)
    monkeypatch.setattr(readout, "DENSE_OUTCOMES_MAX", 4)
    iterated = readout.corrected_counts(counts, flips)
    assert iterated == pytest.approx(direct, abs=1e-4)
    assert direct[0] + direct[2**12 - 1] > 0.9


def test_too_many_outcomes_are_refused(many_bits, monkeypatch):
    monkeypatch.setattr(readout, "OUTCOMES_MAX", 5)
    with pytest.raises(KetgateError, match="at most 5 different outcomes"):
        readout.corrected_counts(many_bits[1], many_bits[0])


def test_what_says_nothing_cannot_be_corrected():
    with pytest.raises(KetgateError, match="readout of bit 3 cannot be corrected"):
        readout.corrected_counts({0: 1}, {3: (0.5, 0.5)})


@given(p10=st.floats(0, 0.45), p01=st.floats(0, 0.45))
def test_weights_make_z_unbiased(p10, p01):
    zero, one = readout.bit_weights((p10, p01))
    assert (1 - p10) * zero + p10 * one == pytest.approx(1)
    assert p01 * zero + (1 - p01) * one == pytest.approx(-1)
