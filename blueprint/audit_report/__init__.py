"""The auditor's report: what an environment is, and whether it keeps its promises, on one page that loads nothing."""
