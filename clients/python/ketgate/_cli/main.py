"""The entry point: what is missing, what went wrong, and with which exit status.

Exit status: 0 solved or done, 1 error, 2 wrong usage, 3 no solution (infeasible, unbounded, none
found), 130 Ctrl-C.
"""

import errno
import json
import os
import sys
from importlib.util import find_spec

EXIT_ERROR = 1
EXIT_INTERRUPTED = 130
_UNWRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)


def main() -> None:
    """Run the command with the process's arguments and exit."""
    missing = [name for name in ("typer", "rich") if find_spec(name) is None]
    if missing:
        print(
            f"the ketgate command needs {' and '.join(missing)}: pip install 'ketgate[cli]'",
            file=sys.stderr,
        )
        sys.exit(EXIT_ERROR)
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")  # what its log says of handshakes, errors say
    from ketgate._cli.app import build
    from ketgate._errors import KetgateError

    try:
        build(sys.argv[1:])(prog_name="ketgate")
    except KetgateError as error:
        _tell(error)
        sys.exit(EXIT_ERROR)
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)
    except OSError as error:
        if error.filename is not None or error.errno not in _UNWRITABLE:
            raise
        print(f"error: standard output cannot be written: {error.strerror}", file=sys.stderr)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for what is still to come
        sys.exit(EXIT_ERROR)


def _tell(error: Exception) -> None:
    """Errors of --json are JSON on standard output, so that one reader suffices; others are words
    on standard error.
    """
    if "--json" not in sys.argv[1:]:
        print(f"error: {error}", file=sys.stderr)
        return
    names = ("message", "reason", "field", "remedy", "request_id", "code")
    print(json.dumps({"error": {name: getattr(error, name) for name in names}}, indent=2))
