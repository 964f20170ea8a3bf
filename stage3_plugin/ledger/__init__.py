"""What was bought, what it cost, and what may still be spent: kept in one SQLite file.

``states`` has the table of legal ways, ``rows`` the values that are spoken in, ``schema`` the
database that enforces both, and ``book`` the ledger itself.
"""
