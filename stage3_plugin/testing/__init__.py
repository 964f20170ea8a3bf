"""What authors of providers test with: a loopback server that keeps books, and laws to obey.

It comes in the wheel, and nothing of the product imports it. It needs no test runner.
"""
