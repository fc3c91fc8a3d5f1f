"""Settings that belong together are checked together, and an error never shows what may be a secret."""

from pathlib import Path
from typing import Any

import pytest
from ketgate_server.config import ConfigError, load

SECRET = "a secret that nobody may see"

TOKEN = {"signing.pkcs11.module": "/lib/token.so", "signing.pkcs11.token_label": "ketgate"}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"signing.kek": "passphrase"}, 'kek = "passphrase": expected a passphrase_file'),
        ({"signing.kek": "pkcs11"}, 'kek = "pkcs11": expected pkcs11.module'),
        (
            {"signing.passphrase": SECRET, "signing.passphrase_file": "/x"},
            "expected passphrase or passphrase_file, given both",
        ),
        (
            {"signing.previous_passphrase": SECRET, "signing.previous_passphrase_file": "/x"},
            "expected previous_passphrase or previous_passphrase_file, given both",
        ),
        (
            TOKEN | {"signing.pkcs11.pin": SECRET, "signing.pkcs11.pin_file": "/x"},
            "expected pin or pin_file, given both",
        ),
        (TOKEN, "expected a pin_file"),
        ({"signing.pkcs11.module": "/x", "signing.pkcs11.pin": SECRET}, "expected a token_label"),
        ({"signing.pkcs11.pin": SECRET}, "expected a module"),
        ({"signing.passphrase": 123_456_789}, "given 9 characters that are not shown"),
        ({"signing.passphrase": [SECRET]}, "given a list of 1"),
        ({"signing.passphrase": {"x": SECRET}}, "no setting 'signing.passphrase.x'"),
        ({"signing.kek": SECRET}, "'file', 'passphrase' or 'pkcs11'"),
        ({"store_url": f"mysql://u:{SECRET}@h"}, "given mysql://"),
    ],
)
def test_what_does_not_belong_together_is_refused(
    tmp_path: Path, given: dict[str, Any], expected: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        load({"data_dir": tmp_path, **given})
    assert expected in str(caught.value)
    if "signing.kek" not in given:
        assert SECRET not in str(caught.value)


def test_secrets_are_masked_where_settings_are_shown(tmp_path: Path) -> None:
    given = TOKEN | {
        "signing.passphrase": SECRET,
        "signing.previous_passphrase": SECRET,
        "signing.pkcs11.pin": SECRET,
    }
    settings, _ = load({"data_dir": tmp_path, **given})
    assert SECRET not in repr(settings) + str(settings.model_dump(mode="json"))


def test_paths_are_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    settings, _ = load({"data_dir": tmp_path, "signing.kek_file": "kek", "signing.liboqs": "~/oqs"})
    assert settings.signing.kek_file == tmp_path / "kek"
    assert settings.signing.liboqs == Path.home() / "oqs"
