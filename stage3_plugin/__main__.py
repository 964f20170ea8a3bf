"""The first line of the ``stage3`` command: from here on an interrupt ends in one line.

``python -m stage3_plugin`` and ``stage3`` both begin here, so nothing is imported above that takes
time.
"""

from __future__ import annotations

import gc
import signal
import sys


def main() -> int:
    """Run the command and return its exit code."""
    gc.set_threshold(50_000)  # importing makes much and leaves nothing behind: a tenth of its time
    try:
        from stage3_plugin.cli import main as run  # noqa: PLC0415 - see above

        code = run()
    except KeyboardInterrupt:  # the command was still being loaded; it catches its own
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # one is enough; what is left is one line
        from stage3_plugin.cli import interrupted  # noqa: PLC0415 - likewise

        return interrupted(json_only="--json" in sys.argv)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # all is done, and Python has only to close
    return code


if __name__ == "__main__":
    sys.exit(main())
