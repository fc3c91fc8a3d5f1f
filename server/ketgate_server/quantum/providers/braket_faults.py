"""What boto3 raises, as our faults: above all, whether a question can have been acted on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ketgate_server.quantum.base import Unsuitable
from ketgate_server.quantum.providers.errors import (
    CredentialsRefused,
    JobFailed,
    ProviderFault,
    Refused,
    Throttled,
    Undecided,
    Unreachable,
    plain,
)

NAME = "braket"
OFFLINE_S = 60.0
"""Before a device that is offline, or a full quota, is asked again."""

_THROTTLED = {"ThrottlingException", "TooManyRequestsException", "RequestLimitExceeded", "SlowDown"}
_LATER = {"DeviceOfflineException", "ServiceQuotaExceededException"}
_CREDENTIALS = {
    "AccessDenied",
    "AccessDeniedException",
    "ExpiredToken",
    "ExpiredTokenException",
    "InvalidAccessKeyId",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "IncompleteSignature",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
}
_REFUSED = {"ValidationException", "DeviceRetiredException", "BadRequestException"}
_OVER = {"ResourceNotFoundException", "ConflictException", "NoSuchKey", "NoSuchBucket"}


@contextmanager
def translated(backend: str, *, tag: str = "", job: str = "") -> Iterator[None]:
    """tag: of the submission that is asked for inside, if it is one. job: that is asked about."""
    import botocore.exceptions as boto

    try:
        yield
    except (ProviderFault, Unsuitable):
        raise
    except boto.ClientError as error:
        raise _of_answer(error, backend, tag, job) from error
    except (boto.NoCredentialsError, boto.PartialCredentialsError) as error:
        raise CredentialsRefused(NAME, plain(error)) from error
    except (boto.ProfileNotFound, boto.TokenRetrievalError, boto.SSOError) as error:
        raise CredentialsRefused(NAME, plain(error)) from error
    except boto.CredentialRetrievalError as error:
        raise CredentialsRefused(NAME, plain(error)) from error
    except (boto.EndpointConnectionError, boto.ConnectTimeoutError, boto.ProxyConnectionError) as e:
        raise Unreachable(NAME, plain(e)) from e  # there was no connection: nothing was sent
    except boto.ParamValidationError as error:
        raise Refused(NAME, backend, plain(error)) from error
    except boto.BotoCoreError as error:
        raise _unanswered(tag, plain(error)) from error


def _of_answer(error: object, backend: str, tag: str, job: str) -> ProviderFault:
    response = error.response  # type: ignore[attr-defined]
    told = response.get("Error", {})
    code, words = str(told.get("Code", "")), plain(f"{told.get('Code')}: {told.get('Message')}")
    status = int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    if code in _THROTTLED or status == 429:
        headers = response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
        after = str(headers.get("retry-after", ""))
        return Throttled(NAME, words, float(after) if after.isdigit() else None)
    if code in _LATER:
        return Throttled(NAME, words, OFFLINE_S)
    if code in _CREDENTIALS or status in (401, 403):
        return CredentialsRefused(NAME, words)
    if code in _OVER and job:
        return JobFailed(NAME, job, words)
    if code in _REFUSED or code in _OVER or 400 <= status < 500:
        return Refused(NAME, backend, words)
    return _unanswered(tag, words)


def _unanswered(tag: str, words: str) -> ProviderFault:
    return Undecided(NAME, tag, words) if tag else Unreachable(NAME, words)
