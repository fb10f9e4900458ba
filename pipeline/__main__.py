"""`python -m pipeline` is `stance`."""

from pipeline.cli.main import main

main()
