"""One attempt at a picture that is bought: a folder for the answer, then the conversation.

It is shielded from cancellation from end to end, because what was paid for must be stored and
reported; only the waiting for an answer is cut short, through
:class:`~stage3_plugin.runtime.interrupt.Interrupt`.

An attempt never tries again and never raises for what a provider or a network did: its result says
what came of it. Holding the money before it and settling after it are the run's.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from stage3_plugin.domain.attempt import AttemptResult
from stage3_plugin.domain.request import PictureRequest
from stage3_plugin.errors import StorageFailed
from stage3_plugin.purchase.conversation import Conversation
from stage3_plugin.purchase.maker import Jobs, shielded
from stage3_plugin.purchase.sending import without_storage
from stage3_plugin.storage.pictures import Pictures
from stage3_plugin.storage.spool.receipt import Receipt
from stage3_plugin.transport.bodies import Base64Of, no_pictures


class PaidMaker:
    """Buys pictures from a provider over HTTP.

    Args:
        conversation_of: Returns the one with the provider for a request's model.
        pictures: Has the folders for its answers.
        base64_of: Has the pictures that requests show.
    """

    def __init__(
        self,
        conversation_of: Callable[[PictureRequest], Conversation],
        pictures: Pictures,
        *,
        base64_of: Base64Of = no_pictures,
    ) -> None:
        self._conversation_of = conversation_of
        self._pictures = pictures
        self._base64_of = base64_of

    def showing(self, base64_of: Base64Of) -> PaidMaker:
        """Return one for a run that holds references."""
        return PaidMaker(self._conversation_of, self._pictures, base64_of=base64_of)

    async def attempt(self, attempt_id: str, request: PictureRequest, jobs: Jobs) -> AttemptResult:
        """Buy one picture: send once, keep whatever comes, say what it was."""
        try:
            folder = self._pictures.new_folder(attempt_id)
            receipt = Receipt(folder)
        except StorageFailed as failure:
            return without_storage(failure)
        conversation = self._conversation_of(request)
        begin = partial(conversation.begin, base64_of=self._base64_of)
        return await shielded(partial(begin, request, folder, receipt, jobs))
