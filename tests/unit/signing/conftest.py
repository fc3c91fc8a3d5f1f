"""A SoftHSM for the tests of tokens."""

import os
from pathlib import Path

import pytest
from ketgate_server.signing.settings import Pkcs11Settings
from pydantic import SecretStr

from ...softhsm import PIN, SoftHsm, find_module

TOKENS = ("ketgate", "another", "twin", "twin", "lost", "locked")


@pytest.fixture(scope="session")
def softhsm(tmp_path_factory: pytest.TempPathFactory) -> SoftHsm:
    """SoftHSM with TOKENS, for this process; skips what needs it where it is not installed."""
    pytest.importorskip(
        "pkcs11", reason="python-pkcs11 is not installed: pip install python-pkcs11"
    )
    module = find_module()
    if module is None:
        pytest.skip("SoftHSM is not installed; on Debian, as root: apt-get install softhsm2")
    made = SoftHsm(tmp_path_factory.mktemp("softhsm"), module)
    for label in TOKENS:
        made.add_token(label)
    os.environ.update(made.environment)  # read when the library is loaded, once a process
    return made


@pytest.fixture
def token_settings(softhsm: SoftHsm, tmp_path: Path) -> Pkcs11Settings:
    return Pkcs11Settings(module=softhsm.module, token_label="ketgate", pin=SecretStr(PIN))
