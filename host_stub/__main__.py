"""Makes ``python -m host_stub`` the same as ``host-stub``."""

from __future__ import annotations

import sys

from host_stub.cli import main

if __name__ == "__main__":
    sys.exit(main())
