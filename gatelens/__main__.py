"""`python -m gatelens`: the `gatelens` command; the supervisor starts roles this way."""

from gatelens.cli import main

main()
