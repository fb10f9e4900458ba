"""What the repository may hold: no sentence of the corpora, and the given seeds byte for byte."""

import json
import re
import subprocess

from conftest import ROOT

from pipeline.data.sentences import cut

AROUND = 8  # lines about a new one, which a run of words may begin or end in


def normalize(text):
    return re.sub(r"\W+", " ", text.lower()).strip()


def runs(text, size=8):
    """Return all runs of eight words: one may be a phrase of diplomats, a whole sentence of them is a copy."""
    words = normalize(text).split()
    return {hash(tuple(words[i : i + size])) for i in range(len(words) - size + 1)}


def texts_of_history():
    """Yield every version of every text file that any commit holds: what is new in it, and the lines about that."""
    git, seen = ["git", "-C", ROOT], set()
    listed = subprocess.run([*git, "rev-list", "--all", "--objects"], capture_output=True, check=True).stdout
    names = b"\n".join(line.split(b" ", 1)[0] for line in listed.splitlines())
    content = subprocess.run([*git, "cat-file", "--batch"], input=names, capture_output=True, check=True).stdout
    place = 0
    while place < len(content):
        start = content.index(b"\n", place) + 1
        _, kind, size = content[place:start].split()
        place = start + int(size) + 1
        body = content[start : place - 1]
        if kind == b"tree" or b"\0" in body:
            continue
        lines = body.splitlines()
        new = [number for number, line in enumerate(lines) if line not in seen]
        seen.update(lines)
        kept = sorted({near for number in new for near in range(number - AROUND, number + AROUND + 1)})
        yield b"\n".join(lines[number] for number in kept if 0 <= number < len(lines)).decode("utf-8", "ignore")


def test_no_sentence_of_the_corpora_stands_in_the_history(shared):
    """Against every sentence that is not ours."""
    history = set().union(*map(runs, texts_of_history()))
    seeds = normalize(" ".join(file.read_text(encoding="utf-8") for file in shared.glob("seeds/*.txt")))
    assert history.issuperset(runs(__doc__)) and runs(__doc__)
    copied = []
    for folder in ("real", "tweeteval_stance", "articles", "unlabelled"):
        files = (shared / "corpora" / folder).glob("*.jsonl")
        texts = [json.loads(line)["text"] for file in files for line in file.read_bytes().splitlines()]
        assert texts, folder
        near = [text for text in texts if not history.isdisjoint(runs(text))]
        sentences = [sentence.text for text in near for sentence in cut(text)]
        copied += [text for text in sentences if (own := runs(text)) and history.issuperset(own)]
    assert [text for text in copied if normalize(text) not in seeds] == []


def test_the_seed_documents_are_as_they_came(shared):
    given = sorted((shared / "seeds").glob("*.txt"))
    assert len(given) == 2
    assert [(ROOT / "seeds" / file.name).read_bytes() for file in given] == [file.read_bytes() for file in given]
