"""``python -m stage3_plugin.testing PROVIDER``: see that an installed provider obeys every law.

It prints a line for each law, and ends with 1 if one is broken. Nothing is asked of the vendor.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from stage3_plugin.errors import SettingsRefused
from stage3_plugin.providers.registry import hosted_named, maker_named
from stage3_plugin.testing.dialects import dialect_of
from stage3_plugin.testing.laws import LAWS, Law
from stage3_plugin.testing.recordings import recorded_in
from stage3_plugin.testing.subject import Subject


def main() -> int:
    """Try one, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m stage3_plugin.testing", description=__doc__)
    parser.add_argument("provider", help="its word in the group stage3.providers")
    parser.add_argument("--model", default="some-model", help="what it is asked for")
    parser.add_argument("--api", default="images", help="by which of its ways")
    parser.add_argument("--recorded", type=Path, help="a folder of recorded answers")
    options = parser.parse_args()
    try:
        subject = _subject(options)
    except (SettingsRefused, ValueError, OSError) as error:
        print(error, file=sys.stderr)  # noqa: T201 - a command line
        return 2
    broken = sum(not _is_obeyed(law, subject) for law in LAWS)
    return 1 if broken else 0


def _subject(options: argparse.Namespace) -> Subject:
    maker_named(options.provider)  # says why, where it cannot be used
    provider = hosted_named(options.provider)
    if provider is None:
        raise SettingsRefused("provider", f"{options.provider!r} buys nothing, so no law is on it")
    return Subject.of(
        provider,
        model=options.model,
        api=options.api,
        heard=() if options.recorded is None else recorded_in(options.recorded),
        dialect=dialect_of(options.provider),
    )


def _is_obeyed(law: Law, subject: Subject) -> bool:
    name = law.__name__.replace("_", " ")
    try:
        tried = law(subject)
    except AssertionError as broken:
        print(f"BROKEN  {name}: {broken}", flush=True)  # noqa: T201 - a command line
        return False
    print(f"{'ok' if tried else '--':6}  {name}: {tried} tried", flush=True)  # noqa: T201 - likewise
    return True


if __name__ == "__main__":
    sys.exit(main())
