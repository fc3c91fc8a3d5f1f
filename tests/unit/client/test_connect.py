"""Where a server is found: arguments, environment, configuration, ready file; and what stays secret."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import ketgate
import pytest
from ketgate._connect import Endpoint, is_loopback, resolve

CERTIFICATE = b"-----BEGIN CERTIFICATE-----\nof nobody\n-----END CERTIFICATE-----\n"


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    """An environment whose home is empty."""
    return {"XDG_DATA_HOME": str(tmp_path / "data"), "XDG_CONFIG_HOME": str(tmp_path / "config")}


def write_ready(
    folder: Path, *, pid: int | None = None, address: str = "127.0.0.1:7443", tls: bool = True
) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "ca.pem").write_bytes(CERTIFICATE)
    (folder / "token").write_text("kg_local\n")
    ready = {
        "address": address,
        "ca_file": str(folder / "ca.pem") if tls else None,
        "token_file": str(folder / "token"),
        "pid": os.getpid() if pid is None else pid,
    }
    (folder / "ready.json").write_text(json.dumps(ready))
    return folder / "ready.json"


def test_the_local_server_is_found_by_its_ready_file(home: dict[str, str], tmp_path: Path) -> None:
    write_ready(tmp_path / "data" / "ketgate")
    expected = Endpoint("127.0.0.1:7443", CERTIFICATE, "kg_local", False)
    assert resolve(environment=home) == expected
    other = write_ready(tmp_path / "other", address="127.0.0.1:1")
    assert resolve(ready_file=other, environment=home).address == "127.0.0.1:1"
    assert resolve(environment=home | {"KETGATE_READY_FILE": str(other)}).address == "127.0.0.1:1"
    assert (
        resolve(environment=home | {"KETGATE_DATA_DIR": str(tmp_path / "other")}).address
        == "127.0.0.1:1"
    )
    # The address of the local server, given by hand, still finds its certificate and token.
    assert resolve("127.0.0.1:7443", environment=home) == expected
    assert resolve("127.0.0.1:9999", environment=home) == Endpoint("127.0.0.1:9999")


def test_arguments_before_environment_before_file(home: dict[str, str], tmp_path: Path) -> None:
    config = tmp_path / "config" / "ketgate" / "config.toml"
    config.parent.mkdir(parents=True)
    (config.parent / "t").write_text("kg_file")
    config.write_text('address = "config:1"\ntoken_file = "t"\n')
    assert resolve(environment=home) == Endpoint("config:1", None, "kg_file")
    environment = home | {"KETGATE_ADDRESS": "environment:2", "KETGATE_TOKEN": "kg_environment"}
    assert resolve(environment=environment) == Endpoint("environment:2", None, "kg_environment")
    assert resolve("argument:3", token="kg_argument", environment=environment) == Endpoint(
        "argument:3", None, "kg_argument"
    )
    assert resolve("argument:3", environment=environment).token == "kg_environment"
    other = tmp_path / "elsewhere.toml"
    other.write_text('address = "other:4"\n')
    assert resolve(environment=home | {"KETGATE_CONFIG": str(other)}).address == "other:4"


def test_a_ready_file_that_is_named_is_not_mixed_with_another_server(
    home: dict[str, str], tmp_path: Path
) -> None:
    ready = write_ready(tmp_path / "mine")
    environment = home | {
        "KETGATE_ADDRESS": "far:1",
        "KETGATE_TOKEN": "kg_far",
        "KETGATE_INSECURE": "1",
    }
    assert resolve(ready_file=ready, environment=environment) == Endpoint(
        "127.0.0.1:7443", CERTIFICATE, "kg_local"
    )


def test_nothing_to_find_is_said_with_what_to_do(home: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(ketgate.ServerNotFound, match=r"ready\.json") as caught:
        resolve(environment=home)
    assert "ketgate serve" in caught.value.remedy
    with pytest.raises(ketgate.ServerNotFound):
        resolve(ready_file=tmp_path / "none.json", environment=home)


def test_a_server_that_is_gone_is_said(home: dict[str, str], tmp_path: Path) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    ready = write_ready(tmp_path / "gone", pid=gone.pid)
    with pytest.raises(ketgate.ServerNotFound, match=f"process {gone.pid}"):
        resolve(ready_file=ready, environment=home)


def test_tokens_stay_off_plaintext(home: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(ketgate.Unauthenticated, match=r"plaintext to example\.com:1"):
        resolve("example.com:1", token="kg_x", insecure=True, environment=home)
    assert resolve("example.com:1", insecure=True, environment=home).token is None
    for address in ("127.0.0.1:1", "localhost:1", "[::1]:1", "127.9.9.9:1"):
        assert resolve(address, token="kg_x", insecure=True, environment=home).insecure
    plain = write_ready(tmp_path / "plain", tls=False)
    with pytest.raises(ketgate.Unauthenticated, match="speaks plaintext"):
        resolve(ready_file=plain, environment=home)
    assert resolve(ready_file=plain, insecure=True, environment=home).insecure
    assert resolve(ready_file=plain, environment=home | {"KETGATE_INSECURE": "true"}).insecure


def test_plaintext_is_not_asked_of_a_server_that_speaks_tls(
    home: dict[str, str], tmp_path: Path
) -> None:
    ready = write_ready(tmp_path / "tls")
    with pytest.raises(ketgate.InvalidArgument, match="speaks TLS") as caught:
        resolve(ready_file=ready, insecure=True, environment=home)
    assert caught.value.field == "insecure"
    with pytest.raises(ketgate.InvalidArgument, match="given both"):
        resolve("127.0.0.1:1", ca_file=tmp_path / "ca.pem", insecure=True, environment=home)
    # What is set for other servers gives way to TLS, without a word.
    assert not resolve(ready_file=ready, environment=home | {"KETGATE_INSECURE": "1"}).insecure


def test_the_file_of_the_authorities_is_remembered(home: dict[str, str], tmp_path: Path) -> None:
    ready = write_ready(tmp_path / "tls")
    assert resolve(ready_file=ready, environment=home).ca_file == str(tmp_path / "tls" / "ca.pem")


@pytest.mark.parametrize(
    ("address", "loopback"),
    [
        ("127.0.0.1:1", True),
        ("[::1]:1", True),
        ("unix:/tmp/x", True),
        ("10.0.0.1:1", False),
        ("localhost.evil:1", False),
    ],
)
def test_loopback(address: str, loopback: bool) -> None:
    assert is_loopback(address) is loopback


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"address": "https://a:1"}, "address"),
        ({"address": "a"}, "address"),
        ({"address": "a:b"}, "address"),
        ({"address": "a:1", "token": "two words"}, "token"),
        ({"address": "a:1", "token": ""}, "token"),
        ({"address": "a:1", "token": "näh"}, "token"),
        ({"address": "a:1", "token": "x", "token_file": "y"}, "token"),
        ({"address": "a:1", "token_file": "/does/not/exist"}, "token_file"),
        ({"address": "a:1", "ca_file": "/does/not/exist"}, "ca_file"),
        ({"address": "a:1", "ca_file": __file__.replace(".py", ".none")}, "ca_file"),
        ({"ready_file": __file__}, "ready_file"),
    ],
)
def test_what_cannot_be_used_is_named(
    arguments: dict[str, Any], field: str, home: dict[str, str]
) -> None:
    with pytest.raises(ketgate.InvalidArgument) as caught:
        resolve(**arguments, environment=home)
    assert caught.value.field == field


def test_a_file_without_a_certificate_is_named(home: dict[str, str]) -> None:
    with pytest.raises(ketgate.InvalidArgument, match="no certificate"):
        resolve("a:1", ca_file="/etc/hostname", environment=home)


@pytest.mark.parametrize(
    ("content", "match"),
    [
        ("adress = 'a:1'", "did you mean address"),
        ("address =", "expected TOML"),
        ("\xff", "expected"),
    ],
)
def test_a_wrong_configuration_file_is_named(
    content: str, match: str, home: dict[str, str], tmp_path: Path
) -> None:
    file = tmp_path / "config.toml"
    file.write_text(content, encoding="latin-1")
    with pytest.raises(ketgate.InvalidArgument, match=match):
        resolve(environment=home | {"KETGATE_CONFIG": str(file)})
    with pytest.raises(ketgate.InvalidArgument, match="expected a file"):
        resolve(environment=home | {"KETGATE_CONFIG": "/does/not/exist"})


def test_secrets_are_not_shown() -> None:
    endpoint = Endpoint("a:1", CERTIFICATE, "kg_secret")
    assert "kg_secret" not in repr(endpoint)
    assert "kg_secret" not in repr(ketgate.Client(endpoint))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"address": 7443}, "address: expected host:port, given 7443"),
        ({"address": ":7443"}, "address: expected host:port, given :7443"),
        ({"address": "localhost:7443", "token": 5}, "token: expected a text, given int"),
        ({"address": "localhost:7443", "token": "kg x"}, "given another text of 4 characters"),
    ],
)
def test_what_is_no_address_or_token_is_refused_at_once(
    given: dict[str, Any], expected: str
) -> None:
    with pytest.raises(ketgate.InvalidArgument) as caught:
        ketgate.connect(**given)
    assert expected in str(caught.value)
    assert "kg x" not in str(caught.value)
