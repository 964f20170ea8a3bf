"""The first line of the ``stage3`` command: from here on an interrupt ends in one line.

``python -m stage3_plugin`` and ``stage3`` both begin here, so nothing is imported above that takes
time.
"""

from __future__ import annotations

import sys


def main() -> int:
    """Run the command and return its exit code."""
    try:
        from stage3_plugin.cli import main as run  # noqa: PLC0415 - see above

        return run()
    except KeyboardInterrupt as interrupt:  # the command was still being loaded; it catches its own
        from stage3_plugin.caretaking.console import Console  # noqa: PLC0415 - likewise

        return Console(json_only="--json" in sys.argv, debug=False).error(interrupt)


if __name__ == "__main__":
    sys.exit(main())
