"""``python -m ketgate_server``: the server without the `ketgate` command."""

import argparse
import sys
from pathlib import Path

from ketgate_server import __version__
from ketgate_server.main import serve


def main(arguments: list[str] | None = None) -> int:
    """The command ``ketgate-server``. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="ketgate-server", description="Serves Ketgate over gRPC.")
    parser.add_argument("--version", action="version", version=__version__)
    parser.add_argument(
        "--config",
        type=Path,
        help="configuration file (TOML); default ketgate.toml in the data folder",
    )
    parser.add_argument("--data-dir", help="folder of the store and the certificates")
    parser.add_argument(
        "--listen", help="HOST:PORT; default 127.0.0.1:7443; port 0 takes a free one"
    )
    parser.add_argument("--ready-file", help="file that says where the server is, once it serves")
    parser.add_argument("--metrics-listen", help='HOST:PORT of the Prometheus endpoint, or "off"')
    parser.add_argument(
        "--insecure", action="store_true", default=None, help="serve without TLS, on loopback only"
    )
    parser.add_argument("--log-level", help="debug, info, warning or error")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="any setting, for example limits.rpc.calls_max=64",
    )
    given = vars(parser.parse_args(arguments))
    config_file = given.pop("config")
    overrides: dict[str, object] = {}
    for assignment in given.pop("set"):
        key, separator, value = assignment.partition("=")
        if not separator:
            parser.error(f"--set expects KEY=VALUE, given {assignment!r}")
        overrides[key] = value
    overrides |= {name: value for name, value in given.items() if value is not None}
    return serve(overrides, config_file)


if __name__ == "__main__":
    sys.exit(main())
