"""How often hypothesis tries a law: by the profile, and by what this law deserves beside others.

Three profiles, chosen by pytest's ``--hypothesis-profile``:

``full`` is what holds where none is named: in tox and in continuous integration. It tries the same
examples every time, so that a commit is green or red by what is in it and never by chance.

``short`` tries a tenth of them, the same every time: for what somebody waits for, and for a lane
that tries the laws once more.

``night`` is ten times ``full``, others each time. It can be run as often as there are nights.
"""

from __future__ import annotations

from hypothesis import HealthCheck, settings

_FULL = 100
"""Hypothesis' own number, and the unit that laws are counted in."""


def register_profiles() -> None:
    """Make the profiles known, and load ``full``; pytest's option loads another one later."""
    tenth, most = _FULL // 10, _FULL * 10
    for name, examples in {"short": tenth, "full": _FULL, "night": most}.items():
        is_the_same = name in {"short", "full"}
        settings.register_profile(
            name,
            settings.get_profile("default"),  # hypothesis has a profile of its own for CI
            max_examples=examples,
            derandomize=is_the_same,
            database=None if is_the_same else settings.get_profile("default").database,
            print_blob=True,
            deadline=None,  # other people's load must not fail a law
            suppress_health_check=[HealthCheck.too_slow],
        )
    settings.load_profile("full")


def tried(examples: int) -> settings:
    """Try a law so often under ``full``, and under the others in that proportion.

    A law that does not say it is tried 100 times.
    """
    in_proportion = examples * settings().max_examples // _FULL
    return settings(max_examples=max(in_proportion, 1))
