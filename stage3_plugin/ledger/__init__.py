"""What was bought, what it cost, and what may still be spent: kept in one SQLite file.

``domain`` has the table of legal ways and the values that go in and out, ``schema`` the database
that enforces both, and ``book`` the ledger itself.
"""
