"""Another name, for the tests, of ``stage3_plugin.testing.wire``."""

from stage3_plugin.testing.wire import *  # noqa: F403 - all of it
