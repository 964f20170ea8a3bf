"""Looks after a ledger: what ``stage3 attempts | resolve | verify`` do, for programs too.

::

    state_folder.py    a state folder, and the ledger in it
    report.py          what a command says: its keys for programs, its lines for people
    listing.py         which purchases need a person, and what each waits for
    resolve.py         which are meant, and what a person found out about them, recorded
    resolve_report.py  what was decided, or would be
    verify.py          whether the pictures that were paid for are there and right
    costs.py           what was spent; costs_file.py writes it as CSV
    next_steps.py      which commands may come next
    commands.py        the commands: their arguments, and the reports they return

Nothing here sends a request or knows a host.
"""
