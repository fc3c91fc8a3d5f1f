"""Starts a worker in any Python: ``python -P bootstrap.py DESCRIPTOR FOLDER``.

FOLDER is the package ketgate_server itself. It alone is made importable: what lies beside it in a
site-packages must not shadow what this Python has.
"""

import importlib.util
import sys
from pathlib import Path

NAME = "ketgate_server"


def load(folder: Path) -> None:
    """Import the package from a folder, and no other of that name."""
    spec = importlib.util.spec_from_file_location(
        NAME, folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[NAME] = module
    spec.loader.exec_module(module)


if __name__ == "__main__":
    load(Path(sys.argv[2]))
    from ketgate_server.quantum.workers.program import main

    main(int(sys.argv[1]))
