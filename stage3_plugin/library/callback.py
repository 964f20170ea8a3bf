"""A caller's own function, which may raise anything and is to harm nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, ParamSpec

from stage3_plugin.library.log import LOGGER

Arguments = ParamSpec("Arguments")


class Callback(Generic[Arguments]):
    """Calls a function, if there is one, until it raises.

    Args:
        function: What to call.
    """

    def __init__(self, function: Callable[Arguments, object] | None) -> None:
        self._function = function

    def __call__(self, *args: Arguments.args, **kwargs: Arguments.kwargs) -> None:
        if self._function is None:
            return
        try:
            self._function(*args, **kwargs)
        except Exception:  # noqa: BLE001 - paid pictures are handed over all the same
            self._function = None
            LOGGER.exception("on_progress raised, and is not called any more")
