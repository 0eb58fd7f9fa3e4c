"""Blocks addresses that the web ACL keeps refusing, and lets them go again."""
