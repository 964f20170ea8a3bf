"""The first line of the command: from here on an interrupt ends in one line, imports included.

``python -m host_stub`` and ``host-stub`` both begin here, so nothing is imported above that takes
time.
"""

from __future__ import annotations

import sys


def main() -> int:
    """Run the command and return its exit code."""
    try:
        from host_stub.cli import main as run  # noqa: PLC0415 - see above

        return run()
    except KeyboardInterrupt:  # the command was still being loaded; it catches its own
        from host_stub.console import Console  # noqa: PLC0415 - likewise
        from host_stub.errors import Interrupted  # noqa: PLC0415 - likewise

        return Console(json_only="--json" in sys.argv, debug=False).error(Interrupted())


if __name__ == "__main__":
    sys.exit(main())
