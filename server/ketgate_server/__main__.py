"""``python -m ketgate_server``."""

import sys

from ketgate_server.main import main

if __name__ == "__main__":
    sys.exit(main())
