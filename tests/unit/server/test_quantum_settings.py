"""Settings of the quantum domain: one by one from all places, and a wrong name is refused."""

import pytest
from ketgate_server.config import ConfigError, load


@pytest.fixture
def config(tmp_path):
    def write(text: str):
        path = tmp_path / "ketgate.toml"
        path.write_text(text)
        return path

    return write


def test_nested_settings_come_from_file_environment_and_flags(config, monkeypatch):
    path = config(
        '[quantum]\nworkers = 3\ndisabled = ["aer"]\n'
        '[quantum.interpreters]\ncirq = "/opt/cirq/bin/python"\n'
        '[quantum.ibm]\nenabled = true\nchannel = "local"\n'
    )
    monkeypatch.setenv("KETGATE_QUANTUM", '{"workers": 4, "ibm": {"devices": ["fake_manila"]}}')
    settings, _ = load({"quantum.failures_max": "7"}, path)
    own = settings.quantum
    assert (own.workers, own.failures_max, own.disabled) == (4, 7, ("aer",))
    assert str(own.interpreters["cirq"]) == "/opt/cirq/bin/python"
    assert (own.ibm.enabled, own.ibm.channel, own.ibm.devices) == (
        True,
        "local",
        ("fake_manila",),
    )


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[quantum]\nworkerz = 3\n", "quantum.workers"),
        ("[quantum.ibm]\nenable = true\n", "quantum.ibm.enabled"),
        ("[quantum]\nworkers = -1\n", "quantum.workers"),
        ('[quantum.interpreters]\ncirq = "python"\n', "an absolute path"),
        ("[quantum]\nrest_s = 0\n", "quantum.rest_s"),
    ],
)
def test_what_is_wrong_is_refused_by_name(text, named, config):
    with pytest.raises(ConfigError, match=named.replace(".", r"\.")):
        load({}, config(text))


def test_limits_of_quantum_runs_are_settings_too(config):
    settings, _ = load({"limits.quantum.shots_max": "5"}, config(""))
    assert settings.limit_table["quantum.shots_max"].value == 5
