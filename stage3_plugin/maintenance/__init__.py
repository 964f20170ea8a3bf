"""Looks after a ledger: what ``stage3 attempts | resolve | verify`` do, for programs too.

::

    state_folder.py    a state folder, and the ledger in it
    listing.py         which purchases need a person, and what each waits for
    selection.py       which purchases are meant where they are not named
    resolve.py         what a person found out about them, recorded
    verify.py          whether the pictures that were paid for are there and right
    report.py          what there is, in words and as JSON
    resolve_report.py  what was decided, or would be, likewise
    next_steps.py      which commands may come next, for programs
    commands.py        the commands: their arguments, and the text and data they return

Nothing here sends a request or knows a host.
"""
