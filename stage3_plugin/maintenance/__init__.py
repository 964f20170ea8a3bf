"""Looks after a ledger: what ``stage3 attempts | resolve | verify`` do, for programs too.

::

    state_folder.py    a state folder, and the ledger in it
    report.py          what a command says: a model, its JSON for programs, its text for people
    listing.py         which purchases need a person, and what each waits for
    resolve.py         which are meant, and what a person found out about them, recorded and said
    schemas/           of each report, written by docs/schemas.py
    recover.py         what a home that never comes back has left, given up
    verify.py          whether the pictures that were paid for are there and right
    moving.py          the ledger, moved from its file to a server
    room.py            how much room a project takes
    models.py          what is known of models; providers.py says who makes pictures
    jobs_report.py     what was asked and waited for
    costs.py           what was spent, for people, for programs and as CSV
    next_steps.py      which commands may come next
    commands.py        the commands: their arguments, and the reports they return

Nothing here sends a request or knows a host.
"""

from stage3_plugin.errors import Stage3Error


class Refused(Stage3Error):
    """What a command was asked for and does not do."""

    def __init__(self, problem: str, *, hint: str) -> None:
        self.hint = hint
        super().__init__(problem)
