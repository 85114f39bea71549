"""`python -m codegeex`."""

from codegeex.cli import main

main()
