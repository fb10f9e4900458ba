"""What the repository may hold: no sentence of the corpora, and the given seeds byte for byte."""

import json
import re
import subprocess

from conftest import ROOT


def normalize(text):
    return re.sub(r"\W+", " ", text.lower()).strip()


def test_no_sentence_of_the_corpora_stands_in_the_history(shared):
    """Every version of every text file that any commit holds, against every real sentence."""
    listed = subprocess.run(
        ["git", "-C", ROOT, "rev-list", "--all", "--objects"], capture_output=True, text=True, check=True
    ).stdout
    names = [line.split(" ", 1)[0] for line in listed.splitlines()]
    content = subprocess.run(
        ["git", "-C", ROOT, "cat-file", "--batch"],
        input="\n".join(names).encode(),
        capture_output=True,
        check=True,
    ).stdout
    words = normalize(content.decode("utf-8", "ignore")).split()
    size = 8
    history = {hash(tuple(words[i : i + size])) for i in range(len(words) - size + 1)}
    seeds = normalize(" ".join(file.read_text(encoding="utf-8") for file in shared.glob("seeds/*.txt")))
    found = []
    for file in ("real/sentences.jsonl", "real/more.jsonl", "tweeteval_stance/train_validation.jsonl"):
        for line in (shared / "corpora" / file).read_text(encoding="utf-8").splitlines():
            sentence = normalize(json.loads(line)["text"])
            parts = sentence.split()
            runs = [tuple(parts[i : i + size]) for i in range(len(parts) - size + 1)]
            # A run of eight words may be a phrase of diplomats; a whole sentence of them is a copy.
            if runs and all(hash(run) in history for run in runs) and sentence not in seeds:
                found.append(sentence)
    assert not found


def test_the_seed_documents_are_as_they_came(shared):
    for file in (shared / "seeds").glob("*.txt"):
        assert (ROOT / "seeds" / file.name).read_bytes() == file.read_bytes()
