"""A secret that could not be had, in the place of one: whoever reads it is told why.

Looking at a story sends nothing, and must not need a key. So such a secret passes through a
settings model as any other ``SecretStr`` does, and is missed only where a program would use it.
Apart from :mod:`host_stub.config.secrets`, which a command reads that must not wait for pydantic.
"""

from __future__ import annotations

from typing import NoReturn

from pydantic import SecretStr

from host_stub.errors import SecretUnavailable


class AbsentSecret(SecretStr):
    """Stands for a secret that is not there."""

    def __init__(self, error: SecretUnavailable) -> None:
        super().__init__("")
        self.error = error

    def get_secret_value(self) -> NoReturn:
        """Say why there is none.

        Raises:
            SecretUnavailable: Always.
        """
        raise self.error
