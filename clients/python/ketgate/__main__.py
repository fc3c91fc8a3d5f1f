"""`python -m ketgate`: the command, for where its script is not on the path."""

from ketgate._cli.main import main

main()
