"""Another name, for the tests, of ``stage3_plugin.testing.bill``."""

from stage3_plugin.testing.bill import *  # noqa: F403 - all of it
