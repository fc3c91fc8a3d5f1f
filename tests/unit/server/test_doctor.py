"""What the doctor says of a machine: each thing that can be wrong, and that it changes nothing."""

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from ketgate._cli.app import build
from ketgate_server.data_folder import LOCK_FILE
from ketgate_server.doctor import (
    Finding,
    State,
    examine,
    folder,
    kernels,
    programs,
    providers,
    software,
    store,
)
from ketgate_server.doctor.programs import Program
from ketgate_server.parts import PARTS
from ketgate_server.settings import Settings
from ketgate_server.signing.provider import Providers
from ketgate_server.signing.providers.cryptography_provider import CryptographyProvider
from ketgate_server.signing.providers.registry import Absent, Found
from ketgate_server.signing.settings import SigningSettings
from ketgate_server.store import elsewhere
from typer.testing import CliRunner


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """As a server leaves it."""
    made = tmp_path / "kept"
    for place in (made, made / "keys", made / "tls"):
        place.mkdir(mode=0o700)
    for name in ("admin.token", "keys/kek.key", "keys/audit.pem", "tls/server.key"):
        (made / name).touch(mode=0o600)
    (made / "tls" / "server.pem").touch(mode=0o644)
    return made


def faults(findings: Iterable[Finding]) -> dict[str, Finding]:
    found = {one.name: one for one in findings if one.state is State.FAULT}
    assert all(one.remedy for one in found.values())
    return found


def named(findings: Iterable[Finding], name: str) -> Finding:
    return next(one for one in findings if one.name == name)


def test_a_folder_as_a_server_leaves_it_is_fine(data_dir: Path) -> None:
    found = list(folder.findings(Settings(data_dir=data_dir)))
    assert not faults(found)
    assert {one.name for one in found if one.detail == "private"} == {
        "admin.token",
        "keys/kek.key",
        "keys/audit.pem",
        "tls/server.key",
    }


def test_a_folder_that_is_yet_to_be_made_is_fine_and_stays_so(tmp_path: Path) -> None:
    data_dir = tmp_path / "a" / "b"
    (found,) = folder.findings(Settings(data_dir=data_dir))
    assert (found.state, found.detail) == (State.FINE, f"{data_dir}: made by the first start")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("below", ["", "deeper"])
def test_a_file_in_its_place_is_told(tmp_path: Path, below: str) -> None:
    (tmp_path / "file").touch()
    data_dir = tmp_path / "file" / below
    found = faults(folder.findings(Settings(data_dir=data_dir)))
    assert [one.detail for one in found.values()] == [f"{data_dir}: {tmp_path / 'file'} is a file"]


@pytest.mark.parametrize("mode", [0o750, 0o701])
def test_a_folder_that_others_enter_is_told(data_dir: Path, mode: int) -> None:
    data_dir.chmod(mode)
    (found,) = faults(folder.findings(Settings(data_dir=data_dir))).values()
    assert found.remedy == f"chmod 700 {data_dir}"


@pytest.mark.parametrize(
    "name", ["admin.token", "keys/kek.key", "keys/audit.pem", "tls/server.key"]
)
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
def test_secrets_that_others_can_use_are_told(data_dir: Path, name: str, mode: int) -> None:
    (data_dir / name).chmod(mode)
    (found,) = faults(folder.findings(Settings(data_dir=data_dir))).values()
    assert found.name == name
    assert f"chmod 600 {data_dir / name}" in found.remedy


def test_a_folder_that_cannot_be_written_to_is_told(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def access(path: os.PathLike[str], mode: int) -> bool:  # root may do everything
        return not (Path(path) == data_dir and mode & os.W_OK)

    monkeypatch.setattr(os, "access", access)
    (found,) = faults(folder.findings(Settings(data_dir=data_dir))).values()
    assert "cannot be written to" in found.detail


def test_a_full_disk_is_told(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder, "FREE_BYTES_MIN", 1 << 62)
    (found,) = faults(folder.findings(Settings(data_dir=data_dir))).values()
    assert "MB are free" in found.detail


def test_another_users_folder_is_told(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 4321)
    assert "4321" in faults(folder.findings(Settings(data_dir=data_dir)))["data_dir"].remedy


def test_files_that_the_settings_name_must_be_there(data_dir: Path, tmp_path: Path) -> None:
    missing, open_to_all = tmp_path / "missing", tmp_path / "phrase"
    open_to_all.write_text("the passphrase")
    open_to_all.chmod(0o644)
    settings = Settings(
        data_dir=data_dir,
        audit_key_file=missing,
        signing=SigningSettings(kek="passphrase", passphrase_file=open_to_all),
    )
    found = faults(folder.findings(settings))
    assert "No such file" in found["audit_key_file"].detail
    assert "0644" in found["signing.passphrase_file"].detail
    assert "the passphrase" not in str(found)


def test_the_server_that_runs_on_a_folder_is_named(data_dir: Path) -> None:
    settings = Settings(data_dir=data_dir)
    assert named(folder.findings(settings), "server").detail == "none runs on it"
    (data_dir / LOCK_FILE).write_text(f"{os.getpid()}\n")
    assert str(os.getpid()) in named(folder.findings(settings), "server").detail


def test_a_store_that_is_elsewhere_is_told_where_the_settings_name_none(data_dir: Path) -> None:
    elsewhere.note(data_dir, "postgresql://db.example/ketgate")
    [finding] = store.findings(Settings(data_dir=data_dir))
    assert finding.state is State.FAULT
    assert "postgresql://db.example/ketgate" in finding.detail


def test_missing_parts_come_with_their_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(software, "part_version", lambda name: None)
    monkeypatch.setattr(software, "NEEDED", ("surely-not-installed",))
    found = list(software.findings())
    absent = {one.name: one for one in found if one.state is State.ABSENT}
    assert set(absent) == set(PARTS) - {"native"}
    assert absent["liboqs"].remedy == PARTS["liboqs"].install_command
    assert set(faults(found)) == {"native", "surely-not-installed"}


def test_a_version_is_that_of_a_package_or_of_a_library(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """liboqs and liboqs-python have versions of their own, and stood there as "liboqs" both."""
    monkeypatch.setattr(software, "part_version", lambda name: "0.16.0")
    found = list(software.findings())
    assert named(found, "liboqs").detail == "liboqs-python 0.16.0"
    assert named(found, "qiskit").detail == "0.16.0"
    provider = CryptographyProvider()
    monkeypatch.setattr(provider, "path", tmp_path / "liboqs.so", raising=False)
    monkeypatch.setattr(providers, "find_providers", lambda _: Found(Providers([provider])))
    told = next(one for one in providers.findings(SigningSettings()) if one.name == provider.name)
    assert told.detail.endswith(f"algorithms; the library {tmp_path}/liboqs.so")


def test_kernels_that_cannot_be_loaded_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    real = kernels.importlib.import_module

    def load(name: str) -> Any:
        if name == "ketgate_native.qp":
            raise ImportError("undefined symbol: kg_qp")
        return real(name)

    monkeypatch.setattr(kernels.importlib, "import_module", load)
    found = list(kernels.findings())
    assert faults(found)["qp"].detail == "undefined symbol: kg_qp"
    assert "monitor" in named(found, "loaded").detail
    assert named(found, "instruction set").detail in ("base", "avx2", "avx512")
    monkeypatch.setattr(kernels.pkgutil, "iter_modules", lambda path: [])
    assert faults(kernels.findings())["monitor"].detail == "not built"


def test_a_library_that_verifies_wrongly_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    provider = CryptographyProvider()
    monkeypatch.setattr(provider, "distrusted", ("ML_DSA_65",), raising=False)
    monkeypatch.setattr(providers, "find_providers", lambda _: Found(Providers([provider])))
    told = [one for one in providers.findings(SigningSettings()) if one.state is State.ABSENT]
    assert "verifies ML_DSA_65 otherwise than FIPS 204 says" in told[0].detail
    assert told[0].remedy == "make liboqs"


def test_absent_providers_are_faults_only_where_the_settings_name_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = Found(
        Providers([CryptographyProvider()]),
        (Absent("liboqs", "no liboqs was found", "make liboqs"),),
    )
    monkeypatch.setattr(providers, "find_providers", lambda settings: found)
    told = list(providers.findings(SigningSettings()))
    assert not faults(told)
    assert named(told, "liboqs").state is State.ABSENT
    absent = [one for one in told if one.name == "algorithms" and one.state is State.ABSENT]
    assert any("FALCON_512" in one.detail and one.remedy == "make liboqs" for one in absent)
    assert "ML_DSA_65" in named(told, "algorithms").detail
    strict = SigningSettings(providers=("liboqs", "cryptography"))
    assert faults(providers.findings(strict))["liboqs"].remedy == "make liboqs"


def test_an_algorithm_of_the_audit_that_nobody_has_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(providers, "find_providers", lambda settings: Found(Providers([])))
    assert "signing.audit_algorithm" in faults(providers.findings(SigningSettings()))


def test_programs_are_found_beside_the_path(tmp_path: Path) -> None:
    (tmp_path / "opt" / "tool-2" / "bin").mkdir(parents=True)
    place = tmp_path / "opt" / "tool-2" / "bin" / "surely-no-program"
    place.touch(mode=0o755)
    tool = Program("surely-no-program", "tests", "make it", ("opt/*/bin",))
    (found,) = programs.findings((tool,), tmp_path)
    assert (found.state, found.detail) == (State.FINE, str(place))
    place.chmod(0o644)
    (found,) = programs.findings((tool,), tmp_path)
    assert (found.state, found.detail, found.remedy) == (State.ABSENT, "for tests", "make it")


def test_a_database_that_cannot_be_reached_is_told_without_its_password(tmp_path: Path) -> None:
    pytest.importorskip("psycopg", reason="pip install 'ketgate-server[postgres]'")
    url = f"postgresql://desk:verysecret@/ketgate?host={tmp_path}"
    (found,) = store.findings(Settings(data_dir=tmp_path, store_url=url))
    assert found.state is State.FAULT
    assert found.remedy == "see the setting store_url"
    assert "verysecret" not in str(found)


def test_a_database_without_its_part_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "part_version", lambda name: None)
    settings = Settings(data_dir=tmp_path, store_url="postgresql://desk@localhost/ketgate")
    assert "postgres" in faults(store.findings(settings))["PostgreSQL"].remedy


def run(*arguments: str) -> Any:
    return CliRunner().invoke(build(arguments), arguments, env={"COLUMNS": "120"})


def test_the_command_tells_everything_and_ends_well(data_dir: Path) -> None:
    before = sorted(data_dir.rglob("*"))
    done = run("doctor", "--data-dir", str(data_dir), "--json")
    told = json.loads(done.stdout)
    assert (done.exit_code, told["fine"]) == (0, True)
    topics = {one["topic"] for one in told["findings"]}
    assert topics >= {"client", "server", "parts", "kernels", "signing", "programs", "data folder"}
    assert all(one["remedy"] for one in told["findings"] if one["state"] != "fine")
    assert sorted(data_dir.rglob("*")) == before
    in_words = run("doctor", "--data-dir", str(data_dir))
    assert in_words.exit_code == 0
    assert "Nothing is wrong." in in_words.stdout


def test_the_command_fails_where_a_server_would_not_start(data_dir: Path, tmp_path: Path) -> None:
    data_dir.chmod(0o755)
    done = run("doctor", "--data-dir", str(data_dir))
    assert done.exit_code == 1
    assert "to mend it: chmod 700" in " ".join(done.stdout.split())
    config = tmp_path / "ketgate.toml"
    config.write_text("nonsense = 3\n")
    done = run("doctor", "--config", str(config), "--json")
    told = json.loads(done.stdout)
    assert (done.exit_code, told["fine"]) == (1, False)
    assert "nonsense" in next(o for o in told["findings"] if o["name"] == "settings")["detail"]


def test_without_the_server_there_is_the_client(monkeypatch: pytest.MonkeyPatch) -> None:
    from ketgate._cli import doctor

    monkeypatch.setattr(doctor, "find_spec", lambda name: None)
    done = run("doctor", "--json")
    told = {one["name"]: one for one in json.loads(done.stdout)["findings"]}
    assert done.exit_code == 0
    assert told["ketgate-server"]["remedy"] == "pip install ketgate-server"


def test_an_examination_has_all_topics(data_dir: Path) -> None:
    topics = list(dict.fromkeys(one.topic for one in examine(Settings(data_dir=data_dir))))
    assert topics == ["server", "parts", "kernels", "signing", "programs", "data folder", "store"]
