"""SoftHSM with tokens of its own, for tests."""

import os
import shutil
import subprocess
from pathlib import Path

LIBRARIES = (
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib64/pkcs11/libsofthsm2.so",
    "/usr/local/lib/softhsm/libsofthsm2.so",
    "/opt/homebrew/lib/softhsm/libsofthsm2.so",
)
SO_PIN = "a-security-officer"
PIN = "the-pin-of-a-user-7391"


class SoftHsm:
    """A folder with tokens. A process sees those that were there when it loaded the library."""

    def __init__(self, folder: Path, module: Path) -> None:
        self.module = module
        self.configuration = folder / "softhsm2.conf"
        (folder / "tokens").mkdir()
        self.configuration.write_text(
            f"directories.tokendir = {folder / 'tokens'}\nobjectstore.backend = file\nlog.level = ERROR\n"
        )

    @property
    def environment(self) -> dict[str, str]:
        """What a process must have to find the tokens."""
        return {"SOFTHSM2_CONF": str(self.configuration)}

    def add_token(self, label: str, pin: str = PIN) -> None:
        """A new token."""
        subprocess.run(
            [
                "softhsm2-util",
                "--init-token",
                "--free",
                "--label",
                label,
                "--pin",
                pin,
                "--so-pin",
                SO_PIN,
            ],
            check=True,
            capture_output=True,
            env=os.environ | self.environment,
        )


def find_module() -> Path | None:
    """SoftHSM's library; None where it is not installed."""
    if shutil.which("softhsm2-util") is None:
        return None
    return next((Path(path) for path in LIBRARIES if Path(path).exists()), None)
