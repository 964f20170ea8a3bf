"""``python -m stage3_plugin.testing PROVIDER``: see that an installed provider obeys every law.

It prints a line for each law, and ends with 1 if one is broken. Nothing is asked of the vendor.
With ``--serve`` it stays, speaks as the vendor does, and makes pictures of whatever it is asked.
"""

from __future__ import annotations

import argparse
import sys
from importlib import import_module
from pathlib import Path

from stage3_plugin.errors import SettingsRefused
from stage3_plugin.providers.registry import hosted_named, maker_named
from stage3_plugin.testing.dialects import dialect_of
from stage3_plugin.testing.laws import LAWS, Law
from stage3_plugin.testing.queues import Dialect
from stage3_plugin.testing.recordings import recorded_in
from stage3_plugin.testing.rehearsal import serve, server
from stage3_plugin.testing.subject import Subject


def main() -> int:
    """Try one, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m stage3_plugin.testing", description=__doc__)
    parser.add_argument("provider", help="its word in the group stage3.providers")
    parser.add_argument("--model", default="some-model", help="what it is asked for")
    parser.add_argument("--api", default="images", help="by which of its ways")
    parser.add_argument("--recorded", type=Path, help="a folder of recorded answers")
    parser.add_argument("--dialect", help="MODULE:CLASS that speaks as its vendor does")
    parser.add_argument("--serve", action="store_true", help="be the vendor until Ctrl-C")
    options = parser.parse_args()
    sys.path.insert(0, "")  # what an author has not installed yet lies here
    try:
        subject = _subject(options)
        if options.serve:
            return _serve(subject)
    except (SettingsRefused, ValueError, LookupError, OSError) as error:
        print(error, file=sys.stderr)
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
        dialect=_dialect(options.dialect) if options.dialect else dialect_of(options.provider),
    )


def _dialect(target: str) -> type[Dialect]:
    module, _, name = target.partition(":")
    try:
        found: object = getattr(import_module(module), name, None)
    except ImportError as error:
        raise LookupError(f"--dialect {target}: {error}") from error
    if isinstance(found, type) and issubclass(found, Dialect):
        return found
    raise LookupError(f"--dialect {target}: there is no such class that derives from Dialect")


def _serve(subject: Subject) -> int:
    """Be its vendor, print the table that buys from it, and at last what was billed."""
    if subject.dialect is None:
        raise LookupError(
            f"how the vendor of {subject.name!r} speaks is not known: name it with --dialect "
            "MODULE:CLASS. What comes with this is for providers with a queue, such as 'fal'"
        )
    table = {"provider": subject.name, "model": subject.model}
    print(serve(server(subject.name, subject.dialect), table))
    return 0


def _is_obeyed(law: Law, subject: Subject) -> bool:
    name = law.__name__.replace("_", " ")
    try:
        tried = law(subject)
    except AssertionError as broken:
        print(f"BROKEN  {name}: {broken}", flush=True)
        return False
    print(f"{'ok' if tried else '--':6}  {name}: {tried} tried", flush=True)
    return True


if __name__ == "__main__":
    sys.exit(main())
