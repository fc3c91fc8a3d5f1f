"""What providers say, what they charge and what may be set about them."""

import pytest
from ketgate_server.errors import CATALOGUE
from ketgate_server.quantum.base import Price
from ketgate_server.quantum.providers.errors import Throttled, Undecided, plain
from ketgate_server.quantum.providers.prices import braket_price, cost_cents, ibm_price
from ketgate_server.quantum.providers.settings import BraketSettings, GoogleSettings, IbmSettings
from ketgate_server.quantum.settings import QuantumSettings
from pydantic import ValidationError


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("Authorization: Bearer abcdefgh.ijk-l", "Authorization: ***"),
        ("the key AKIAIOSFODNN7EXAMPLE is bad", "the key *** is bad"),
        ("GET /x?token=hunter22&a=1", "GET /x?token=***&a=1"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJpYXQi.sig", "***"),
        ("my own-secret is\n here", "my *** is here"),
        ("plain words of a fault", "plain words of a fault"),
    ],
)
def test_secrets_are_masked(said: str, told: str) -> None:
    assert plain(said, ["own-secret"]) == told


def test_words_are_cut() -> None:
    assert len(plain("x" * 5000)) == 500


def test_faults_carry_what_helps() -> None:
    assert Throttled("p", "slow down").retry_after_s == 10.0
    assert CATALOGUE[Throttled("p", "w").reason].retryable
    assert not CATALOGUE[Undecided("p", "tag", "w").reason].retryable
    assert Undecided("p", "ketgate-x", "w").metadata == {"provider": "p", "tag": "ketgate-x"}


def test_prices_are_told_by_the_device_before_the_table() -> None:
    assert braket_price("ionq/forte-1", 0.05, "shot") == Price(
        per_task=30,
        per_million_shots=5_000_000,
        source="told by the device; per task: aws.amazon.com/braket/pricing, as of 2025",
    )
    table = braket_price("iqm/garnet", None, "")
    assert table is not None
    assert table.per_million_shots == 145_000
    assert braket_price("new/device", None, "") is None
    assert ibm_price("Open", None) is not None
    assert ibm_price("unknown", None) is None
    mine = ibm_price("premium", 4_000)
    assert mine is not None
    assert mine.per_minute == 4_000


def test_costs_are_rounded_up() -> None:
    price = Price(per_task=30, per_million_shots=145_000)
    assert cost_cents(price, tasks=1, shots=100, device_s=0.0) == 45  # 30 + 14.5
    assert cost_cents(Price(per_minute=9_600), tasks=1, shots=1, device_s=2.5) == 400
    assert cost_cents(None, tasks=1, shots=1, device_s=1.0) is None


def test_settings_are_checked_by_name() -> None:
    with pytest.raises(ValueError, match=r"quantum\.google\.project: expected"):
        GoogleSettings(enabled=True)
    with pytest.raises(ValueError, match=r"quantum\.google\.device_config: expected"):
        GoogleSettings(run_name="current")
    with pytest.raises(ValueError, match=r"quantum\.ibm\.read_timeout_s: expected"):
        IbmSettings(read_timeout_s=0.0)
    with pytest.raises(ValueError, match=r"quantum\.braket\.regions: expected"):
        BraketSettings(regions=())


def test_an_unknown_key_of_a_provider_is_an_error() -> None:
    with pytest.raises(ValidationError, match="tokn"):
        QuantumSettings.model_validate({"ibm": {"tokn": "x"}})
