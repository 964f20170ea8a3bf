"""The command line: what may be asked, what each command does, and the exit code.

``host_stub.cli:main`` is a public name.
"""

from host_stub.cli.parser import main

__all__ = ["main"]
