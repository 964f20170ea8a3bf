"""The ledger on a PostgreSQL server: one schema of a database for each project.

``schema`` has the rules, which are those of SQLite's; ``engine`` the connection and what holds on
it; ``place`` puts both together. Only ``engine`` and ``place`` import psycopg, and both are
imported late: whoever keeps a ledger in a file needs none of this.
"""
