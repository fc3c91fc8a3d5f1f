"""Settings: where they come from, which wins, and what is refused."""

import pytest
from ketgate_server.address import is_loopback, split_address
from ketgate_server.config import ConfigError, load
from ketgate_server.limits import LIMITS
from ketgate_server.settings import Settings, default_data_dir


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    for name in ("KETGATE_DATA_DIR", "KETGATE_LISTEN", "KETGATE_LIMITS"):
        monkeypatch.delenv(name, raising=False)


def test_defaults():
    settings, warnings = load({})
    assert settings.data_dir == default_data_dir()
    assert settings.listen == "127.0.0.1:7443"
    assert settings.ready_path == settings.data_dir / "ready.json"
    assert settings.limit_values == {name: limit.value for name, limit in LIMITS.items()}
    assert settings.processors >= 1
    assert warnings == []


def test_file_then_environment_then_flags(monkeypatch, tmp_path):
    file = tmp_path / "any.toml"
    file.write_text('listen = "127.0.0.1:1"\nlog_level = "debug"\ndrain_limit_s = 3\n')
    monkeypatch.setenv("KETGATE_LISTEN", "127.0.0.1:2")
    monkeypatch.setenv("KETGATE_LOG_LEVEL", "error")
    settings, _ = load({"listen": "127.0.0.1:3"}, file)
    assert (settings.listen, settings.log_level, settings.drain_limit_s) == (
        "127.0.0.1:3",
        "error",
        3,
    )


def test_limits_are_merged_one_by_one(monkeypatch, tmp_path):
    file = tmp_path / "any.toml"
    file.write_text('[limits]\n"rpc.calls_max" = 50\noptimization.spins_max = 7\n')
    monkeypatch.setenv("KETGATE_LIMITS", '{"rpc": {"calls_max": 60, "streams_max": 20}}')
    settings, _ = load({"limits.rpc.streams_max": "30"}, file)
    assert settings.limits == {
        "rpc.calls_max": 60,
        "optimization.spins_max": 7,
        "rpc.streams_max": 30,
    }
    assert settings.limit_table["rpc.calls_max"].value == 60
    assert settings.limit_table["rpc.calls_max"].unit == LIMITS["rpc.calls_max"].unit


def test_the_file_in_the_data_folder_is_found(tmp_path):
    (tmp_path / "ketgate.toml").write_text('log_level = "warning"')
    assert load({"data_dir": str(tmp_path)})[0].log_level == "warning"


def test_environment_of_others_is_told_of(monkeypatch):
    monkeypatch.setenv("KETGATE_PASSPHRASE", "secret")
    (warning,) = load({})[1]
    assert "KETGATE_PASSPHRASE" in warning
    assert "secret" not in warning


def test_the_clients_environment_is_no_mistake(monkeypatch):
    for name in ("ADDRESS", "CA_FILE", "CONFIG", "TOKEN", "TOKEN_FILE"):
        monkeypatch.setenv(f"KETGATE_{name}", "x")
    assert load({})[1] == []


@pytest.mark.parametrize(
    ("overrides", "toml", "environment", "message"),
    [
        ({"lisen": "x"}, "", {}, "did you mean 'listen'?"),
        ({}, "data-dir = 'x'", {}, "did you mean 'data_dir'?"),
        ({}, "zzz = 1", {}, "there are: "),
        ({}, "", {"KETGATE_LISTN": "x"}, "did you mean KETGATE_LISTEN?"),
        ({}, "", {"KETGATE_LIMITS": "{"}, "limits"),
        ({"limits.rpc.call_max": 1}, "", {}, "did you mean 'rpc.calls_max'?"),
        ({"limits.zzz": 3}, "", {}, "limits.zzz: there is no such limit, given '3'; GetServerInfo"),
        ({}, "[limits.rpc]\nzzz = 3", {}, "limits.rpc.zzz: there is no such limit, given '3'"),
        (
            {"limits.rpc.calls_max": "many"},
            "",
            {},
            "limits.rpc.calls_max: expected an integer, given 'many'",
        ),
        ({}, "insecure = 'perhaps'", {}, "insecure: expected true or false, given 'perhaps'"),
        ({"drain_limit_s": "long"}, "", {}, "drain_limit_s: expected a number, given 'long'"),
        ({"limits.rpc.calls_max": 0}, "", {}, "at least 1"),
        ({"limits.rpc.calls_max": 100}, "", {}, "rpc.streams_max must be below"),
        (
            {"limits.rpc.message_bytes_max": 1 << 31, "limits.rpc.requests_bytes_max": 1 << 32},
            "",
            {},
            "2 GiB",
        ),
        ({"limits.rpc.requests_bytes_max": 5}, "", {}, "must not be above"),
        ({}, "limits = 3", {}, "expected a table"),
        ({}, "= broken", {}, "cannot read the configuration"),
        ({"listen": "nowhere"}, "", {}, "HOST:PORT"),
        ({"listen": "::1:80"}, "", {}, "brackets"),
        ({"listen": "localhost:99999"}, "", {}, "0 to 65535"),
        ({"metrics_listen": "x"}, "", {}, "HOST:PORT"),
        ({"insecure": True, "listen": "0.0.0.0:1"}, "", {}, "loopback only"),
        ({"insecure": True, "listen": "example.org:1"}, "", {}, "loopback only"),
        ({"tls_key_file": "k"}, "", {}, "go together"),
        ({"tls_ca_file": "k"}, "", {}, "needs tls_certificate_file"),
        ({"drain_limit_s": "nan"}, "", {}, "0 to 3600"),
        ({"threads": -1}, "", {}, "0 to 1024"),
        ({"reflection": "maybe"}, "", {}, "'token', 'open' or 'off'"),
        ({"log_level": "loud"}, "", {}, "log_level"),
    ],
)
def test_what_is_refused(monkeypatch, tmp_path, overrides, toml, environment, message):
    file = tmp_path / "any.toml"
    file.write_text(toml)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError) as caught:
        load(overrides, file)
    assert message in str(caught.value)


@pytest.mark.parametrize("address", ["127.0.0.1:7443", "[::1]:0", "localhost:1"])
def test_loopback_may_be_insecure(address):
    assert load({"insecure": True, "listen": address})[0].insecure


def test_addresses():
    assert split_address("[::1]:80") == ("::1", 80)
    assert split_address("host:0") == ("host", 0)
    assert is_loopback("127.9.9.9")
    assert not is_loopback("10.0.0.1")


def test_every_setting_is_documented():
    assert all(field.description for field in Settings.model_fields.values())


def test_a_long_list_of_limits_is_not_an_error_message():
    with pytest.raises(ConfigError) as caught:
        load({"limits.zzz": 3})
    assert len(str(caught.value)) < 120


def test_a_file_that_is_not_there_is_said_in_words(tmp_path):
    with pytest.raises(ConfigError, match=r"none\.toml: No such file"):
        load({}, tmp_path / "none.toml")


def test_settings_of_jobs_come_one_by_one_from_several_places(monkeypatch, tmp_path):
    file = tmp_path / "any.toml"
    file.write_text('[jobs]\nworkers = 3\nisolation = "process"\n')
    monkeypatch.setenv("KETGATE_JOBS", '{"lease_s": 20}')
    jobs = load({"jobs.workers": "5"}, file)[0].jobs
    assert (jobs.workers, jobs.isolation, jobs.lease_s) == (5, "process", 20)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"jobs.wrokers": "1"}, "there is no setting 'jobs.wrokers'; did you mean 'jobs.workers'?"),
        ({"jobs.lease_s": "0"}, "jobs.lease_s: "),
        ({"jobs.executor": "celery"}, "jobs.executor: "),
        ({"jobs.ray_address": "h:1"}, 'the executor "ray" and ray_address'),
        ({"jobs.executor": "ray"}, 'the executor "ray" and ray_address'),
        ({"jobs": "3"}, "jobs: expected a table"),
        ({"store_url": "mysql://u:secret@h/d"}, "expected postgresql://"),
    ],
)
def test_what_is_refused_about_jobs_and_the_store(overrides, message):
    with pytest.raises(ConfigError) as caught:
        load(overrides)
    assert message in str(caught.value)
    assert "secret" not in str(caught.value)


def test_the_password_of_the_store_is_not_shown():
    settings, _ = load({"store_url": "postgresql://u:secret@h/d"})
    assert "secret" not in str(settings.model_dump(mode="json"))
    assert settings.store_url.get_secret_value() == "postgresql://u:secret@h/d"
