"""What the repository may hold: no sentence of the corpora, and the given seeds byte for byte."""

import json
import re
import subprocess

from conftest import ROOT

from pipeline.data.sentences import cut


def normalize(text):
    return re.sub(r"\W+", " ", text.lower()).strip()


def runs(text, size=8):
    """Return all runs of eight words: one may be a phrase of diplomats, a whole sentence of them is a copy."""
    words = normalize(text).split()
    return [hash(tuple(words[i : i + size])) for i in range(len(words) - size + 1)]


def test_no_sentence_of_the_corpora_stands_in_the_history(shared):
    """Every version of every text file that any commit holds, against every sentence that is not ours."""
    git = ["git", "-C", ROOT]
    listed = subprocess.run([*git, "rev-list", "--all", "--objects"], capture_output=True, text=True, check=True).stdout
    names = "\n".join(line.split(" ", 1)[0] for line in listed.splitlines())
    content = subprocess.run(
        [*git, "cat-file", "--batch"], input=names.encode(), capture_output=True, check=True
    ).stdout
    history = set(runs(content.decode("utf-8", "ignore")))
    seeds = normalize(" ".join(file.read_text(encoding="utf-8") for file in shared.glob("seeds/*.txt")))
    assert history.issuperset(runs(__doc__))
    copied = []
    for folder in ("real", "tweeteval_stance", "articles", "unlabelled"):
        lines = [
            line for file in (shared / "corpora" / folder).glob("*.jsonl") for line in file.read_bytes().splitlines()
        ]
        sentences = [sentence.text for line in lines for sentence in cut(json.loads(line)["text"])]
        assert sentences, folder
        copied += [text for text in sentences if (own := runs(text)) and history.issuperset(own)]
    assert [text for text in copied if normalize(text) not in seeds] == []


def test_the_seed_documents_are_as_they_came(shared):
    given = sorted((shared / "seeds").glob("*.txt"))
    assert len(given) == 2
    assert [(ROOT / "seeds" / file.name).read_bytes() for file in given] == [file.read_bytes() for file in given]
