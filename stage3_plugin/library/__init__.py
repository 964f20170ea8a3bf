"""The plugin as a library: the same stage, called from a program's own code.

``stage`` and ``blocking`` are what callers use, by their names in :mod:`stage3_plugin`;
``original`` is the face of the original stage.
"""
