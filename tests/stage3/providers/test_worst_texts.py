"""What a provider sends takes time in proportion to its length, whatever it is.

Work is counted, not time: a process of its own is killed by the system when one pattern or function
has used up its share of the processor, so that a loaded machine makes no difference.
"""

from __future__ import annotations

import ast
import inspect
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.stage3.providers import worst_texts
from tests.stage3.providers.worst_texts import FUNCTIONS, WORST

ROOT = Path(__file__).parents[3]

CUBIC = r"(?:retry|wait)\s+(in|after|for)?\s*(?:about|~)?\s*(\d+s)"
QUADRATIC = {
    "a look ahead": (r"\bkey[-_](?=[\w*.-]*[\d*])[\w*.-]{8,}", "key-"),
    "a bracket": (r"!\[[^\]]*\]\(\s*(https?://[^\s)]+)", "!["),
}


def python(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python beside the tests."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, *arguments]
    return subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, encoding="utf-8", check=False
    )


def test_every_pattern_has_its_worst_text() -> None:
    """A new pattern that repeats anything is to be tried before a provider tries it."""
    assert set(worst_texts.named_patterns()) == set(WORST)


def test_no_text_takes_more_than_its_length() -> None:
    """Every pattern and every reader, on the worst that is known against it."""
    ran = python("-m", "tests.stage3.providers.worst_texts")
    done = ran.stdout.splitlines()
    left = [name for name in (*WORST, *FUNCTIONS) if name not in done]

    assert (ran.returncode, left[:1]) == (0, []), ran.stderr[-2000:]


@pytest.mark.parametrize("name", ["cubic", *QUADRATIC])
def test_a_pattern_that_takes_the_square_is_seen(name: str) -> None:
    """The trial itself can fail."""
    pattern, piece = QUADRATIC.get(name, (CUBIC, "wait  "))
    text = f"wait{' ' * 4000}" if name == "cubic" else piece
    program = (
        "import re\n"
        "from tests.stage3.providers.worst_texts import limit, try_texts\n"
        f"limit(1)\ntry_texts(re.compile({pattern!r}), ({text!r},))"
    )
    ran = python("-c", program)

    assert ran.returncode == -signal.SIGXCPU, ran.stderr[-2000:]


# Where nothing but the eye would look -------------------------------------------------------------

PARSERS = {
    ("figures", "_decimal_of"),  # the one place where a stranger's figure becomes a number
    ("hints", "_number"),  # of a figure that was read there
    ("hints", "duration_s"),  # of digits that a pattern has bounded
    ("figures", "count_of"),  # of a figure that was read there
    ("file_lane", "_moment_at"),  # likewise
    ("words", "_status"),  # of three digits
    ("models", "value_of"),  # ours
    ("models", "side_of"),  # ours
    ("prices", "_pixels"),  # ours
    ("prices", "_by_tokens"),  # ours
    ("prices", "estimate"),  # ours
}


def calls() -> list[tuple[str, str, str]]:
    """Return every call in the package: the module, the function it stands in, and its name."""
    found: list[tuple[str, str, str]] = []
    for name, module in worst_texts.modules():
        for top in ast.parse(inspect.getsource(module)).body:
            within = top.name if isinstance(top, ast.FunctionDef | ast.ClassDef) else ""
            found += [
                (name, within, ast.unparse(node.func))
                for node in ast.walk(top)
                if isinstance(node, ast.Call)
            ]
    return found


def test_figures_are_read_in_one_place() -> None:
    """``int``, ``float`` and ``Decimal`` take more than a provider means, or take for ever."""
    numbers = {
        (name, within) for name, within, what in calls() if what in {"int", "float", "Decimal"}
    }
    outside = {(name, within) for name, within in numbers if within}

    assert outside <= PARSERS


def test_every_pattern_can_be_found() -> None:
    """One that is compiled or used within a function is seen by nobody."""
    inline = [
        (name, within, what)
        for name, within, what in calls()
        if what.startswith("re.")
        and (what != "re.compile" or within not in {"", "_one_of", "_said", "_says"})
    ]

    assert inline == []
