import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import LABEL_NAMES, ROOT
from terminals import Terminal

from pipeline.labelling.exchange import read_batch, write_batch
from pipeline.labelling.terminal import Session

SENTENCES = ["Geese want talks.", "Ducks want pressure.", "Swans want bread."]


def batch_rows():
    return [
        {"article_id": "pond", "start": 20 * n, "end": 20 * n + len(text), "text": text, "label": ""}
        | {"previous": SENTENCES[n - 1] if n else "", "guess": "pro-dialogue", "confidence": 0.61}
        for n, text in enumerate(SENTENCES)
    ]


@pytest.fixture
def session():
    return Session(batch_rows(), LABEL_NAMES)


def labels(rows):
    return [row["label"] for row in rows]


def press(session, keys, said=""):
    for key in keys:
        session.press(key, lambda words: said)
    return session


def test_keys_are_labels_in_their_order(session):
    assert labels(press(session, "132").rows) == ["pro-sanctions", "neutral", "pro-dialogue"]


def test_an_answer_knows_its_time(session):
    assert press(session, "1").rows[0]["time"].endswith("+00:00")


def test_a_key_that_means_nothing_changes_nothing(session):
    assert labels(press(session, "4x \x1b").rows) == ["", "", ""]


def test_a_skipped_sentence_has_no_label(session):
    assert labels(press(session, "s1").rows) == ["", "pro-sanctions", ""]


def test_undo_takes_the_last_answer_back_and_shows_it_again(session):
    press(session, "12u")
    assert labels(session.rows) == ["pro-sanctions", "", ""] and session.current["text"] == SENTENCES[1]


def test_undo_takes_a_skip_back(session):
    assert press(session, "su").current["text"] == SENTENCES[0]


def test_undo_works_after_the_last_sentence(session):
    assert press(session, "123u").current["text"] == SENTENCES[2]


def test_undo_at_the_beginning_does_nothing(session):
    assert press(session, "u").current["text"] == SENTENCES[0]


def test_a_note_stays_with_its_sentence(session):
    assert press(session, "n1", "honk").rows[0]["note"] == "honk"


def test_what_has_a_label_is_not_asked_again():
    rows = batch_rows()
    rows[0]["label"] = "neutral"
    assert Session(rows, LABEL_NAMES).current["text"] == SENTENCES[1]


def test_the_guess_is_hidden_until_it_is_asked_for(session):
    assert "the model says" not in session.screen(80)
    assert "the model says: pro-dialogue 0.61" in press(session, "g").screen(80)


def test_the_guess_is_hidden_again_for_the_next_sentence(session):
    assert "the model says" not in press(session, "g1").screen(80)


def test_the_screen_shows_the_sentence_and_the_one_before(session):
    screen = press(session, "1").screen(80)
    assert SENTENCES[0] in screen and SENTENCES[1] in screen and SENTENCES[2] not in screen


def test_an_article_cannot_steer_the_terminal(session):
    session.rows[0]["text"] = "Geese\x1b]0;owned\x07 want\x9b2J talks."
    shown = session.screen(80).partition("Geese")[2].partition("talks.")[0]
    assert shown == " ]0;owned  want 2J "


# A real terminal


@pytest.fixture(params=["batch.csv", "batch.jsonl"])
def batch(project, request):
    write_batch(Path(request.param), batch_rows(), LABEL_NAMES)
    return Path(request.param)


def stored(batch):
    return [row.fields.get("label", "") for row in read_batch(batch)]


def test_a_batch_is_labelled_on_a_real_terminal(batch):
    terminal = Terminal("label", str(batch))
    terminal.expect(SENTENCES[0])
    terminal.press("2")
    terminal.expect(SENTENCES[1])
    terminal.press("n")
    terminal.expect("note: ")
    terminal.type("quack\n")
    terminal.expect("note: quack")
    for key in ("\x1b[A", "\x1b[3~", "\x1bOP", "123"):  # arrow up, delete, F1 and a pasted text mean nothing
        terminal.press(key)
        terminal.expect(SENTENCES[1])
    terminal.press("1")
    terminal.expect(SENTENCES[2])
    terminal.press("s")
    terminal.expect("All done: 2 labelled.")
    terminal.press("q")
    assert terminal.end() == 0
    assert stored(batch) == ["pro-dialogue", "pro-sanctions", ""]
    assert read_batch(batch)[1].fields["note"] == "quack"
    assert list(Path().glob(".*")) == []


def test_each_answer_is_saved_before_the_next_sentence_is_shown(batch):
    terminal = Terminal("label", str(batch))
    terminal.expect(SENTENCES[0])
    terminal.press("3")
    terminal.expect(SENTENCES[1])
    os.kill(terminal.process_id, signal.SIGKILL)
    assert terminal.end() == -signal.SIGKILL
    assert stored(batch) == ["neutral", "", ""]


def test_labelling_goes_on_where_it_was_killed(batch):
    terminal = Terminal("label", str(batch))
    terminal.expect(SENTENCES[0])
    terminal.press("3")
    terminal.expect(SENTENCES[1])
    os.kill(terminal.process_id, signal.SIGKILL)
    terminal.end()
    again = Terminal("label", "start", str(batch))
    assert SENTENCES[1] in again.expect("[q] quit")
    again.press("q")
    assert again.end() == 0


def test_ctrl_c_ends_it_and_keeps_what_was_answered(batch):
    terminal = Terminal("label", str(batch))
    terminal.expect(SENTENCES[0])
    terminal.press("3")
    terminal.expect(SENTENCES[1])
    terminal.press("\x03")
    assert terminal.end() == 130 and stored(batch) == ["neutral", "", ""]


def test_ctrl_d_is_no_answer_and_ends_it(batch):
    terminal = Terminal("label", str(batch))
    terminal.expect(SENTENCES[0])
    terminal.press("\x04")
    assert terminal.end() == 0 and stored(batch) == ["", "", ""]


def test_two_terminals_do_not_share_a_batch(batch):
    first = Terminal("label", str(batch))
    first.expect(SENTENCES[0])
    second = Terminal("label", str(batch))
    second.expect("is being labelled by another process")
    assert second.end() == 2
    first.press("q")
    assert first.end() == 0


def run(*words, **options):
    command = [sys.executable, "-m", "pipeline", "label", *words]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(command, capture_output=True, text=True, env=environment, **options)


def test_without_a_terminal_a_line_says_so(batch):
    done = run(str(batch), stdin=subprocess.DEVNULL)
    assert done.returncode == 2 and done.stderr.startswith("stance: stance label: standard input is no terminal")


def test_a_workbook_is_not_labelled_in_the_terminal(project):
    write_batch(Path("batch.xlsx"), batch_rows(), LABEL_NAMES)
    done = run("batch.xlsx", stdin=subprocess.DEVNULL)
    assert done.returncode == 2 and "fill a workbook in a spreadsheet" in done.stderr


def test_a_word_that_is_nearly_a_command_is_named(project):
    done = run("sugest")
    assert done.returncode == 2 and "No such command 'sugest'" in done.stderr and "suggest" in done.stderr


def test_a_batch_that_is_not_there_is_named(project):
    assert "sugest.csv: no such file" in run("sugest.csv").stderr


def test_an_answer_keeps_what_else_a_row_says(batch):
    terminal = Terminal("label", str(batch))
    terminal.expect(SENTENCES[0])
    terminal.press("3")
    terminal.expect(SENTENCES[1])
    terminal.press("q")
    terminal.end()
    row = read_batch(batch)[0].fields
    assert json.dumps([row["guess"], str(row["confidence"])]) == '["pro-dialogue", "0.61"]'
