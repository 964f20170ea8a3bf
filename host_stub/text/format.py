"""How figures are said to a person: durations, amounts of money, counts; and what may be unknown.

Programs get the manifest's exact numbers; a line on a screen wants a few digits and a unit. A run
and the plan of one say the same thing in the same words.
"""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_HALF_EVEN, Decimal
from typing import Final

BEYOND_A_CAP: Final = "raise it, or wait if it is a daily one"
"""What can be done about a cap on spending; the plugin says which one it is."""
TO_KEEP_TO_A_CAP: Final = "the error says why the run stopped; run this again to go on"
"""What can be done where a run stopped so that no cap is passed, and none was reached."""
BEHIND_A_RUN: Final = (
    "run this again once it has ended; what it finished is there, what it left is taken over on "
    "its machine"
)
"""What can be done about scenes another run has in flight; it may have died in the meantime."""
NOT_HERE_YET: Final = "run the same command again: it buys nothing twice"
"""What can be done about what was bought, or accepted, and is not here yet."""

_A_CENT: Final = Decimal("0.01")


def duration(seconds: float) -> str:
    """Say a duration: ``8 ms``, ``0.8 s``, ``42 s``, ``3 min 20 s``, ``2 h 05 min``."""
    if seconds < 0.0995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def dollars(usd: Decimal | None) -> str:
    """Say an amount in at most four decimals, rounded up; below a cent in six.

    As in ``$0.04``, ``$0.9197``, ``$0.0039`` and ``unknown cost``. Programs get ``exact``.
    """
    if usd is None:
        return "unknown cost"
    micro = usd.quantize(Decimal("0.000001"), ROUND_HALF_EVEN)
    said = micro if abs(micro) < _A_CENT else micro.quantize(Decimal("0.0001"), ROUND_CEILING)
    whole, _, fraction = format(said, ",f").partition(".")
    return f"${whole}.{fraction.rstrip('0').ljust(2, '0')}"


def coded(code: str, line: str) -> str:
    """Return a warning that ends with its code, which ``host-stub explain`` explains."""
    return f"{line} [{code}]"


def exact(usd: Decimal | None) -> str | None:
    """Write an amount for programs: a decimal string; ``None`` if it is not known."""
    return None if usd is None else f"{usd:f}"


def counted(number: int, one: str, many: str | None = None) -> str:
    """Say a count with its noun: ``1 scene``, ``3 scenes``, ``no scenes``."""
    if number == 1:
        return f"1 {one}"
    return f"{number or 'no'} {many or one + 's'}"


def how_to_install(extra: str) -> str:
    """Say how an extra is installed; no index has the distribution.

    Keep in step with ``how_to_install`` in ``stage3_plugin/runtime/extras.py``.
    """
    return f"pip install '.[{extra}]', in the folder that Stage3 was installed from"


def how_to_settle(plugin: str, *, resumes: bool) -> str:
    """Say how a person decides whether a request of unknown outcome was billed.

    Args:
        plugin: The image plugin's name in the config; one that keeps a ledger has a command of that
            name, as the contract asks of it.
        resumes: It keeps a ledger.
    """
    if resumes:
        return f"'{plugin} attempts' shows what is known of it, '{plugin} resolve' decides it"
    return "the provider's own account tells whether it was billed"
