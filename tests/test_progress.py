from io import StringIO

from rich.console import Console

from pipeline import progress
from pipeline.progress import Bar


def test_off_a_terminal_progress_is_a_line_on_standard_error(capsys):
    with Bar() as bar:
        bar.update(0.25, "counting centrifuges")
    assert capsys.readouterr() == ("", " 25%  counting centrifuges\n")


def test_off_a_terminal_lines_come_now_and_then(capsys):
    with Bar() as bar:
        for share in (0.1, 0.2, 0.3):
            bar.update(share, "counting")
    assert capsys.readouterr().err == " 10%  counting\n"


def test_a_line_comes_again_after_the_interval(capsys, monkeypatch):
    monkeypatch.setattr(progress, "PLAIN_INTERVAL", -1.0)
    with Bar() as bar:
        bar.update(0.1, "counting")
        bar.update(0.2, "counting")
    assert capsys.readouterr().err == " 10%  counting\n 20%  counting\n"


def test_on_a_terminal_the_bar_shows_the_words():
    screen = StringIO()
    with Bar(Console(file=screen, force_terminal=True, width=100)) as bar:
        bar.update(0.5, "halfway to Panmunjom")
    assert "halfway to Panmunjom" in screen.getvalue()


def test_on_a_terminal_no_plain_line_is_written(capsys):
    with Bar(Console(file=StringIO(), force_terminal=True)) as bar:
        bar.update(0.5, "halfway")
    assert capsys.readouterr().err == ""


def test_work_that_was_not_reported_writes_nothing(capsys):
    with Bar():
        pass
    assert capsys.readouterr() == ("", "")


def test_a_share_that_nobody_knows_is_no_share(capsys):
    with Bar() as bar:
        bar.update(None, "counting centrifuges")
    assert capsys.readouterr().err == "counting centrifuges\n"


def test_on_a_terminal_a_share_that_nobody_knows_shows_no_percentage():
    screen = StringIO()
    with Bar(Console(file=screen, force_terminal=True, width=100)) as bar:
        bar.update(None, "counting centrifuges")
    assert "counting centrifuges" in screen.getvalue() and "%" not in screen.getvalue()
