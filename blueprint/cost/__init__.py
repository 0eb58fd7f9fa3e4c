"""What an environment costs when nobody uses it, from the project's own dated list of AWS's prices.

The floor counts what is paid for by the hour or the month whether it is used or not, at the smallest size that the
environment scales down to. What is paid for by use is listed and not guessed; what the list does not know is listed
too, so that nothing is silently free.
"""
