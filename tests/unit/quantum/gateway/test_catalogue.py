"""What is known of providers' back ends, whatever the providers do."""

import threading

from ketgate_server.errors import KetgateError, Reason
from ketgate_server.quantum.base import BackendStatus
from ketgate_server.quantum.catalogue import Catalogue
from ketgate_server.quantum.settings import QuantumSettings

from .fakes import FakeBackend, FakeProvider, qpu


def names(catalogue):
    return [entry.name for entry in catalogue.entries()]


def test_back_ends_of_a_provider_come_and_go_as_it_tells():
    cloud = FakeProvider("cloud", qpu("cloud/a"), qpu("cloud/b"))
    catalogue = Catalogue([FakeBackend("native")], [cloud])
    assert names(catalogue) == ["cloud", "native"]
    placeholder = catalogue.get("cloud").describe()
    assert placeholder.status is BackendStatus.UNAVAILABLE
    catalogue.refresh(cloud)
    assert names(catalogue) == ["cloud/a", "cloud/b", "native"]
    kept = catalogue.get("cloud/a")
    cloud.told = [qpu("cloud/a", queue_depth=4), qpu("cloud/c")]
    catalogue.refresh(cloud)
    assert names(catalogue) == ["cloud/a", "cloud/c", "native"]
    assert catalogue.get("cloud/a") is kept  # with its breaker
    assert kept.describe().queue_depth == 4


def test_a_provider_that_fails_leaves_what_was_known_unusable():
    cloud = FakeProvider("cloud", qpu("cloud/a"))
    catalogue = Catalogue([], [cloud])
    catalogue.refresh(cloud)
    cloud.fails = KetgateError(Reason.PROVIDER_CREDENTIALS, "the key has expired")
    catalogue.refresh(cloud)
    told = catalogue.get("cloud/a").describe()
    assert told.status is BackendStatus.UNAVAILABLE
    assert told.status_message == "the key has expired"
    cloud.fails = ValueError("token=abc")
    catalogue.refresh(cloud)
    assert "abc" not in catalogue.get("cloud/a").describe().status_message
    cloud.fails = None
    catalogue.refresh(cloud)
    assert catalogue.get("cloud/a").describe().status is BackendStatus.ONLINE


def test_a_provider_that_cannot_be_asked_says_so_from_the_first():
    cloud = FakeProvider("cloud")
    cloud.fails = KetgateError(Reason.PROVIDER_CREDENTIALS, "there are none")
    catalogue = Catalogue([], [cloud])
    catalogue.refresh(cloud)
    assert catalogue.get("cloud").describe().status_message == "there are none"


def test_providers_are_asked_beside_each_other():
    asked = threading.Semaphore(0)
    hangs, go = FakeProvider("hangs"), threading.Event()
    hangs.backends = lambda: (asked.release(), go.wait(30.0), [])[-1]
    quick = FakeProvider("quick")
    quick.backends = lambda: (asked.release(), [])[-1]
    catalogue = Catalogue([], [hangs, quick], QuantumSettings(refresh_s=3600.0))
    catalogue.start()
    assert asked.acquire(timeout=30.0)
    assert asked.acquire(timeout=30.0)
    catalogue.close()
    go.set()


def test_disabled_providers_are_not_asked():
    cloud = FakeProvider("cloud", qpu("cloud/a"), qpu("cloud/b"))
    assert names(Catalogue([], [cloud], QuantumSettings(disabled=("cloud",)))) == []
    catalogue = Catalogue([], [cloud], QuantumSettings(disabled=("cloud/b",)))
    catalogue.refresh(cloud)
    assert names(catalogue) == ["cloud/a"]
