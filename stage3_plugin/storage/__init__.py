"""Where received answers and pictures lie: the spool, what is a picture, and pictures by content.

In a state folder lie, beside the ledger::

    spool/<attempt>/      answers as they arrive            spool/folders.py
    objects/ originals/   pictures by content               local.py
    tmp/                  files being written               local.py
"""
