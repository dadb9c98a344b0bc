"""Run the command as `python -m kg.cli`, which works in a plain checkout too."""

from kg.cli import main

main()
