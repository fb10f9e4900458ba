"""What is refused: the InputError that a call ends with, so that a test reads its fields."""

import pytest

from pipeline.errors import InputError


def refused(call, *arguments, **options):
    """Call and return the InputError: `where`, `what`, `expected`, `then`."""
    with pytest.raises(InputError) as caught:
        call(*arguments, **options)
    return caught.value


def refused_command(*words):
    """Run a command line and return the InputError that it ends with."""
    from pipeline.cli.main import app

    return refused(app, [str(word) for word in words], standalone_mode=False)
