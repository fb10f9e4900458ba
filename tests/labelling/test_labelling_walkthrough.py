"""The commands of docs/labelling.md, run as written in a project with new articles."""

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest
from conftest import ROOT
from terminals import Terminal

from pipeline.classifiers.pretrained import Pretrained
from pipeline.config import read_config
from pipeline.data.dataset import load_dataset
from pipeline.data.seeds import INDEX, INDEX_COLUMNS

CONFIG = """\
label_names: [pro-sanctions, pro-dialogue, neutral]
random_state: 13
selection: {folds: 3, resamples: 100}
candidates:
  - kind: majority
  - kind: tfidf
    character_ngrams: [3, 4]
  - {kind: pretrained, model: MODEL}
  - {kind: adapted, model: MODEL, strength: 1}
"""
KNOWN, NEW, TEST = 8, 40, 30  # articles
KEYS = {"pro-sanctions": "1", "pro-dialogue": "2", "neutral": "3"}


def commands():
    page = (ROOT / "docs" / "labelling.md").read_text(encoding="utf-8")
    return [line for block in re.findall(r"```sh\n(.*?)```", page, re.DOTALL) for line in block.splitlines()]


def write_lines(file, rows):
    Path(file).write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


@pytest.fixture
def answers(tmp_path, monkeypatch, tiny_pretrained):
    """Stand in a project of a few authored articles, with more in `new/`; return the labels of all sentences."""
    monkeypatch.chdir(tmp_path)
    for folder in ("seeds", "labels", "configs", "new"):
        Path(folder).mkdir()
    with (ROOT / "seeds" / INDEX).open(encoding="utf-8", newline="") as stream:
        index = [row for row in csv.DictReader(stream) if row["origin"] == "authored"]
    train, test = ([row for row in index if row["split"] == part] for part in ("train", "test"))
    kept = [*train[:KNOWN], *test[:TEST]]
    new = {row["article_id"] for row in train[KNOWN : KNOWN + NEW]}
    keys = {row["article_id"] for row in kept}
    lines = (ROOT / "seeds" / "authored.jsonl").read_text(encoding="utf-8").splitlines()
    articles = [json.loads(line) for line in lines]
    write_lines("seeds/authored.jsonl", [a for a in articles if a["id"] in keys])
    write_lines("new/articles.jsonl", [a for a in articles if a["id"] in new])
    with Path("seeds", INDEX).open("w", encoding="utf-8", newline="") as stream:
        rows = csv.DictWriter(stream, INDEX_COLUMNS, lineterminator="\n")
        rows.writeheader()
        rows.writerows(kept)
    labels = [json.loads(line) for line in (ROOT / "labels" / "authored.jsonl").read_text().splitlines()]
    write_lines("labels/authored.jsonl", [row for row in labels if row["article_id"] in keys])
    model = shutil.copytree(tiny_pretrained, tmp_path / "model")
    Path("configs/default.yaml").write_text(CONFIG.replace("MODEL", str(model)))
    shutil.copy(ROOT / "configs" / "lexicon.yaml", "configs")
    held_out = [row for row in load_dataset(read_config("configs/default.yaml")).examples if row.split == "test"]
    Pretrained(model=str(model)).write_held_out(held_out)
    said = defaultdict(list)
    for row in labels:
        said[row["text"]].append(row["label"])
    return {text: all_labels[-1] for text, all_labels in said.items()}


def run(command):
    """Run a command of the page in this environment's own interpreter."""
    words = [sys.executable, "-m", "pipeline", *command.split()[1:]]
    done = subprocess.run(
        words, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": str(ROOT)}, timeout=240
    )
    assert done.returncode == 0, f"{command}\n{done.stderr}"
    return done.stdout


def label(command, answers):
    """Run the terminal labeller and press a key for each sentence of the batch."""
    with Path(command.split()[-1]).open(encoding="utf-8-sig", newline="") as stream:
        texts = [row["text"] for row in csv.DictReader(stream)]
    terminal = Terminal(*command.split()[1:])
    for text in texts:
        terminal.expect("[q] quit")
        terminal.press(KEYS[answers.get(text, "neutral")])
    terminal.expect(f"All done: {len(texts)} labelled.")
    terminal.press("q")
    assert terminal.end() == 0


@pytest.mark.slow
def test_the_page_leads_from_new_articles_to_a_true_sentence(answers):
    for command in commands():
        shown = label(command, answers) if command == "stance label batch.csv" else run(command)
    with Path("seeds", INDEX).open(encoding="utf-8", newline="") as stream:
        own = {row["article_id"] for row in csv.DictReader(stream) if (row["origin"], row["split"]) == ("own", "train")}
    rows = [json.loads(line) for line in Path("labels/imported.jsonl").read_text().splitlines()]
    labels = sum(row["article_id"] in own for row in rows)
    (sentence,) = (line for line in shown.splitlines() if line.startswith("Your "))
    assert sentence.startswith(f"Your {labels} labels ({len(own)} articles) ") and labels > 50
    assert ("did not change the model" in sentence) == ("adapted *" not in shown)
    assert "real sentences that the model never learned from" in sentence


def test_the_page_goes_once_around():
    verbs = [" ".join(command.split()[1:3]) for command in commands()]
    loop = verbs[verbs.index("label suggest") :]
    assert loop == ["label suggest", "label batch.csv", "label import", "split", "data", "train"]
