import json
from pathlib import Path

import pytest
from conftest import LABEL_NAMES

from pipeline.config import read_config
from pipeline.errors import InputError
from pipeline.labelling.review import find_candidate, review
from pipeline.progress import ignore_progress

# Words that give the label away, so that a wrong label stands out.
TELL = {
    "pro-sanctions": ("Pressure", "sanctions", "squeeze"),
    "pro-dialogue": ("Talks", "envoy", "handshake"),
    "neutral": ("Pond", "grey", "goose"),
}


def telling(number, label):
    """Return a sentence that shares no run of words with any other."""
    first, second, third = TELL[label]
    return f"{first} {number} {second} {number} {third} {number}."


PLANTED = telling(23, "neutral")


@pytest.fixture
def flocks(project):
    """Twelve articles of telling sentences; one label is wrong."""
    labels, seeds, index = [], [], Path("seeds/index.csv").read_text()
    for flock in range(12):
        sentences = []
        for goose in range(6):
            name = LABEL_NAMES[(goose + flock) % 3]
            sentences.append((telling(10 * flock + goose, name), name))
        text = " ".join(sentence for sentence, _ in sentences)
        seeds.append({"id": f"flock-{flock}", "text": text})
        index += f"flock-{flock},letter,{'test' if flock > 9 else 'train'},,,,\n"
        for sentence, name in sentences:
            start = text.index(sentence)
            row = {"article_id": f"flock-{flock}", "start": start, "end": start + len(sentence), "text": sentence}
            wrong = sentence == PLANTED
            labels.append(row | {"label": "pro-sanctions" if wrong else name, "annotator": "ann"})
    for file, rows in (("labels/flocks.jsonl", labels), ("seeds/flocks.jsonl", seeds)):
        Path(file).write_text("".join(json.dumps(row) + "\n" for row in rows))
    Path("seeds/index.csv").write_text(index)


def look(**options):
    config = read_config("configs/default.yaml")
    defaults = {"part": "train", "order": "confidence", "number": 200, "on_progress": ignore_progress}
    return review(config, find_candidate(config, "tfidf"), **defaults | options)


@pytest.mark.parametrize("order", ["confidence", "cleanlab"])
def test_a_wrong_label_is_among_the_first(flocks, order):
    rows = look(order=order, number=8)
    assert len(rows) == 8 and PLANTED in [row["text"] for row in rows]


def test_a_row_says_what_the_label_is_now_and_what_the_model_thinks(flocks):
    row = next(row for row in look() if row["text"] == PLANTED)
    assert (row["votes"], row["label"], row["guess"]) == ("now: pro-sanctions", "", "neutral")


def test_the_train_part_alone_is_reviewed_unless_asked(flocks):
    letters = {f"letter-{n}" for n in range(1, 5)} | {"kimchi.txt", "noodles.txt"}
    assert {row["article_id"] for row in look()} == letters | {f"flock-{n}" for n in range(10)}


def test_the_test_part_is_reviewed_if_asked_and_says_so(flocks):
    rows = look(part="test")
    assert {row["article_id"] for row in rows} == {"flock-10", "flock-11", "letter-5", "letter-6"}
    assert all("a change needs a reason" in row["votes"] for row in rows)


def test_a_candidate_that_is_unknown_is_refused(project):
    with pytest.raises(InputError, match="no candidate 'oracle'; expected tfidf, majority, keywords"):
        find_candidate(read_config("configs/default.yaml"), "oracle")
