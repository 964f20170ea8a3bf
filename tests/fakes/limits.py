"""Another name, for the tests, of ``stage3_plugin.testing.limits``."""

from stage3_plugin.testing.limits import *  # noqa: F403 - all of it
