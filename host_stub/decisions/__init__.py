"""What reviewers decided about a story, from their files to what is shown, wanted and noted.

Decisions are a wanted state, not commands: a file that is read twice changes nothing the second
time, and buys nothing.
"""
