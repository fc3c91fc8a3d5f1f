"""How to sign, checked against the algorithm before anything is done. Every refusal names the field."""

from __future__ import annotations

from enum import StrEnum

from ketgate_server.errors import FieldError, KetgateError, PartMissing, Reason
from ketgate_server.signing.algorithms import (
    CONTEXT_BYTES_MAX,
    MU_BYTES,
    PREHASHES,
    Algorithm,
    Purpose,
)
from ketgate_server.signing.messages import prehash_bytes
from ketgate_server.signing.provider import Input, Options


class Format(StrEnum):
    """How a signature is wrapped; names as the contract's SignatureFormat."""

    RAW = "RAW"
    JWS = "JWS"
    COSE_SIGN1 = "COSE_SIGN1"


USES = {
    Purpose.SIGN: "signs and verifies",
    Purpose.ENCAPSULATE: "encapsulates and decapsulates",
    Purpose.SEAL: "seals and opens",
    Purpose.MAC: "makes codes",
}


def check_purpose(algorithm: Algorithm, purpose: Purpose, field: str) -> None:
    """Raises FieldError for a key that is for something else."""
    if algorithm.purpose is not purpose:
        raise FieldError(
            field,
            expected=f"a key that {USES[purpose]}",
            given=f"one of {algorithm.name}, which {USES[algorithm.purpose]}",
        )


def check(
    algorithm: Algorithm,
    options: Options,
    form: Format,
    path: str = "options",
    *,
    stream: bool = False,
) -> None:
    """Raises FieldError for what the algorithm has not. path: of the options in the request."""
    name = algorithm.name
    if options.context:
        check_context_size(algorithm, options.context, f"{path}.context")
    if options.prehash:
        if options.prehash not in PREHASHES:
            raise FieldError(
                f"{path}.prehash", expected=f"one of {', '.join(PREHASHES)}", given=options.prehash
            )
        if options.prehash not in algorithm.prehashes:
            raise FieldError(
                f"{path}.prehash",
                expected=f"nothing, as {name} has no variant that signs a hash",
                given=options.prehash,
            )
    if options.input is Input.MU:
        _check_mu(algorithm, options, path)
    if options.input is Input.DIGEST and not (options.prehash or algorithm.digest_bytes):
        hint = "name its hash in prehash" if algorithm.prehashes else ""
        raise FieldError(
            f"{path}.input",
            expected=f"MESSAGE, as {name} signs no digests alone",
            given="DIGEST",
            hint=hint,
        )
    if options.deterministic and not algorithm.deterministic:
        raise FieldError(
            f"{path}.deterministic",
            expected=f"false, as {name} has no deterministic signatures",
            given=True,
        )
    if form is not Format.RAW and (
        options.context or options.prehash or options.input is not Input.MESSAGE or stream
    ):
        raise FieldError(
            f"{path}.format",
            expected="RAW with a context, a prehash, a mu, a digest or a stream",
            given=form.value,
        )


def check_context_size(algorithm: Algorithm, context: bytes, field: str) -> None:
    if not algorithm.context_bytes_max:
        raise FieldError(
            field, expected=f"nothing, as {algorithm.name} takes no context", given=context
        )
    if len(context) > CONTEXT_BYTES_MAX:
        raise FieldError(field, expected=f"at most {CONTEXT_BYTES_MAX} bytes", given=context)


def check_item_context(algorithm: Algorithm, options: Options, field: str) -> None:
    """The context that an item of a batch has in place of the options'."""
    check_context_size(algorithm, options.context, field)
    if options.input is Input.MU:
        _no_context(options, field)


def _no_context(options: Options, field: str) -> None:
    if options.context:
        raise FieldError(field, expected="nothing with a mu, which holds it", given=options.context)


def _check_mu(algorithm: Algorithm, options: Options, path: str) -> None:
    if not algorithm.external_mu:
        takes_digests = bool(algorithm.digest_bytes or algorithm.prehashes)
        raise FieldError(
            f"{path}.input",
            expected=f"MESSAGE{' or DIGEST' * takes_digests}, as {algorithm.name} has no mu",
            given="MU",
        )
    _no_context(options, f"{path}.context")
    if options.prehash:
        raise FieldError(f"{path}.prehash", expected="nothing with a mu", given=options.prehash)


def content_bytes(algorithm: Algorithm, options: Options) -> int | None:
    """How long the content must be; None: any length."""
    if options.input is Input.MU:
        return MU_BYTES
    if options.input is Input.DIGEST:
        return prehash_bytes(options.prehash) if options.prehash else algorithm.digest_bytes
    return None


def check_content(algorithm: Algorithm, options: Options, content: bytes, field: str) -> None:
    expected = content_bytes(algorithm, options)
    if expected is not None and len(content) != expected:
        what = (
            "a mu"
            if options.input is Input.MU
            else f"a digest of {options.prehash or algorithm.name}"
        )
        raise FieldError(field, expected=f"{what}, {expected} bytes", given=content)


def no_provider(algorithm: Algorithm, options: Options) -> KetgateError:
    """The refusal where no provider of this server can."""
    how = []
    if options.input is not Input.MESSAGE:
        how.append(f"from a {options.input.value.lower()}")
    if options.prehash:
        how.append(f"with the hash {options.prehash}")
    if not options.deterministic:
        return PartMissing(
            f"{algorithm.name} {' '.join(how)}".strip(), "make liboqs (docs/signing.md)"
        )
    what = " ".join([*how, "deterministically"])
    return KetgateError(
        Reason.PART_NOT_INSTALLED,
        f"no provider of this server signs {algorithm.name} {what}: neither library offers it; leave "
        "options.deterministic out, and give a request_id to get the same signature for the same request",
        metadata={"part": f"{algorithm.name} {what}"},
    )
