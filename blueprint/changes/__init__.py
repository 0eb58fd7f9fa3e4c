"""What a change does to the platform: two graphs compared, for a reviewer to read in a minute.

``blueprint diff BASE HEAD`` says of each environment which resources come, go, change or are replaced, what the
policies say now that they did not say before, what is waived, what roles may do now, and what the cost floor becomes.
"""

MARK = "<!-- blueprint diff -->"
"""First line of the comment on a pull request: by it a bot finds the one that it wrote before."""
