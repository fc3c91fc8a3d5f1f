"""The provider liboqs, through liboqs-python: ML-DSA, ML-KEM, Falcon, and SLH-DSA where it has FIPS 205.

liboqs-python loads the library, makes keys and expands seeds of ML-KEM; Ketgate's kernel uses opened keys.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from ketgate_native import oqs as kernel

from ketgate_server.signing.algorithms import ALGORITHMS, Algorithm, Family
from ketgate_server.signing.provider import (
    Abilities,
    KeyInvalid,
    Material,
    OperationFailed,
    Options,
)
from ketgate_server.signing.providers import liboqs_library, liboqs_schemes, mldsa_probe
from ketgate_server.signing.providers.liboqs_keys import (
    LiboqsDecapsulationKey,
    LiboqsEncapsulationKey,
    LiboqsSigningKey,
    LiboqsVerifyingKey,
)

_PROBE = b"ketgate: does the public key belong to the private one?"


class LiboqsProvider:
    """A Provider."""

    name = "liboqs"

    def __init__(self, named: Path | None = None) -> None:
        """named: the library, or a folder that has it. Raises LibraryAbsent."""
        library = liboqs_library.find(named)
        self.version = library.version
        self.path = library.path
        self._oqs = liboqs_library.load(library)
        # The library's own objects of its schemes: they outlive every key, and are never freed.
        self._schemes = {
            algorithm.id: self._scheme(algorithm)
            for algorithm in ALGORITHMS.values()
            if self._enabled(algorithm)
        }
        self._abilities = {
            name: liboqs_schemes.abilities(ALGORITHMS[name]) for name in self._schemes
        }
        self.distrusted = tuple(name for name in self._schemes if not self._verifies(name))
        """Algorithms by id that this library verifies otherwise than their standard, and is not used to verify."""
        for name in self.distrusted:
            self._abilities[name] = replace(self._abilities[name], public=False)

    def _enabled(self, algorithm: Algorithm) -> bool:
        name = liboqs_schemes.scheme_name(algorithm)
        kem = algorithm.family is Family.ML_KEM
        return name in (
            self._oqs.get_enabled_kem_mechanisms()
            if kem
            else self._oqs.get_enabled_sig_mechanisms()
        )

    def _scheme(self, algorithm: Algorithm) -> Any:
        name = liboqs_schemes.scheme_name(algorithm)
        if algorithm.family is Family.ML_KEM:
            return self._oqs.KeyEncapsulation(name)._kem
        return self._oqs.Signature(name)._sig

    def _verifies(self, name: str) -> bool:
        """Whether it verifies as the standard says, as far as is known of such faults."""
        algorithm = ALGORITHMS[name]
        if algorithm.family is not Family.ML_DSA:
            return True

        def verify(public_key: bytes, signature: bytes, message: bytes) -> bool:
            key = cast(LiboqsVerifyingKey, self.open_public(algorithm, public_key))
            return key.verify(signature, message, Options())

        return mldsa_probe.verifies(algorithm, verify)

    def _at(self, algorithm: Algorithm) -> int:
        """Address of the library's object of a scheme."""
        return _address(self._schemes[algorithm.id])

    def _function(self, name: str) -> int:
        return _address(getattr(self._oqs.native(), name))

    def abilities(self) -> Mapping[str, Abilities]:
        return self._abilities

    def generate(self, algorithm: Algorithm) -> Material:
        return liboqs_schemes.generate(self._oqs, algorithm)

    def public_key(self, material: Material) -> bytes:
        if material.algorithm.family is Family.FALCON:
            self.open_private(material).close()
            return material.public
        key = liboqs_schemes.private_key(self._oqs, material)
        key.wipe()
        return key.public_key

    def open_private(self, material: Material) -> LiboqsSigningKey | LiboqsDecapsulationKey:
        algorithm = material.algorithm
        key = liboqs_schemes.private_key(self._oqs, material)
        try:
            if algorithm.family is Family.ML_KEM:
                return LiboqsDecapsulationKey(
                    kernel.DecapsulationKey(
                        scheme=self._at(algorithm),
                        decapsulate=self._function("OQS_KEM_decaps"),
                        secret=key.content,
                        ciphertext_bytes=algorithm.output_bytes_max,
                        shared_bytes=32,
                    ),
                    key.public_key,
                )
            opened = LiboqsSigningKey(
                algorithm,
                kernel.SigningKey(
                    scheme=self._at(algorithm),
                    sign=self._function("OQS_SIG_sign_with_ctx_str"),
                    secret=key.content,
                    signature_bytes=algorithm.output_bytes_max,
                ),
                key.public_key,
            )
        finally:
            key.wipe()
        if algorithm.family is Family.FALCON:
            self._check_pair(algorithm, opened)
        return opened

    def _check_pair(self, algorithm: Algorithm, key: LiboqsSigningKey) -> None:
        """Raises KeyInvalid where the public key, which Falcon's are stored with, is another one's."""
        try:
            signature = key.sign(_PROBE, Options())
        except OperationFailed:
            signature = b""
        public = cast(LiboqsVerifyingKey, self.open_public(algorithm, key.public_key))
        if not public.verify(signature, _PROBE, Options()):
            key.close()
            raise KeyInvalid(f"the parts of a private key of {algorithm} do not belong together")

    def open_public(
        self, algorithm: Algorithm, public_key: bytes
    ) -> LiboqsVerifyingKey | LiboqsEncapsulationKey:
        liboqs_schemes.check_public(algorithm, public_key)
        if algorithm.family is Family.ML_KEM:
            return LiboqsEncapsulationKey(
                kernel.EncapsulationKey(
                    scheme=self._at(algorithm),
                    encapsulate=self._function("OQS_KEM_encaps"),
                    public_key=public_key,
                    ciphertext_bytes=algorithm.output_bytes_max,
                    shared_bytes=32,
                )
            )
        return LiboqsVerifyingKey(
            algorithm,
            kernel.VerifyingKey(
                scheme=self._at(algorithm),
                verify=self._function("OQS_SIG_verify_with_ctx_str"),
                public_key=public_key,
            ),
        )


def _address(pointer: Any) -> int:
    return cast(int, ctypes.cast(pointer, ctypes.c_void_p).value)
