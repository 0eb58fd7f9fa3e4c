"""Mutation testing of the policies: every insecure edit of the environments' graphs must be seen by a control.

A policy pack is worth what it catches, and two examples for each rule do not say what that is. Here the graphs of
the real platform are edited one place at a time (``edits``, ``tables``), each edit is judged by the pack
(``judging``), and what no control of the right family sees is listed and has to be explained (``survivors``).
"""
