"""Another name, for the tests, of ``stage3_plugin.testing.image_api``."""

from stage3_plugin.testing.image_api import *  # noqa: F403 - all of it
