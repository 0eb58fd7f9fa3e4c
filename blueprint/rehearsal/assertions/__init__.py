"""What must be true of the account once everything is applied: not what was sent, but what is there.

One module for each topic; a new one is imported in ``blueprint/rehearsal/assertions/every.py``.
"""
