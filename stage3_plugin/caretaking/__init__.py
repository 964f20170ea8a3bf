"""Looks after a ledger: what ``stage3 attempts | resolve | verify`` do, for programs too.

::

    folder.py      a state folder, and the ledger in it
    looking.py     which purchases need somebody, and what each waits for
    choosing.py    which purchases are meant where they are not named
    deciding.py    what somebody found out about them, recorded
    verifying.py   whether the pictures that were paid for are there and right
    telling.py     what there is, in words and as JSON
    decided.py     what was decided, or would be, likewise
    console.py     the two streams it is written to
    escaping.py    how text of unknown origin is put there

Nothing here sends a request or knows a host.
"""
