"""``provider = "local"``, as the settings know it: a class of the user's makes the pictures."""

from __future__ import annotations

from stage3_plugin.settings import PictureMaker


class Local(PictureMaker):
    """Has pictures rendered by the class that ``model_class`` names."""

    runs_model_class = True
    needs_model = False

    @staticmethod
    def api_problem(api: str, /) -> str | None:
        """Say that there is no API."""
        return None if api == "images" else "`api` is set, and a model class of your own asks none"
