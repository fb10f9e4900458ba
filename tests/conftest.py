"""What several tests share: a small project, a small exported model, the repository's own data."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import sys
from contextlib import chdir
from dataclasses import replace
from pathlib import Path

# Beside other test processes one thread is faster than two, and is heeded before numpy and torch are imported.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
import pytest
from hypothesis import settings

from pipeline.bundle import load_bundle, write_bundle
from pipeline.classifiers import create, index_labels
from pipeline.cli.console import WIDEST, out
from pipeline.cli.main import main
from pipeline.config import Candidate, Config, Data, read_config
from pipeline.data.dataset import load_dataset
from pipeline.data.digest import hash_file
from pipeline.data.seeds import INDEX, INDEX_COLUMNS
from pipeline.evaluation.evaluate import evaluate
from pipeline.manifest import Manifest, Selection, TrainingData
from pipeline.reporting.publishing import publish
from pipeline.scoring.abstention import Abstention
from pipeline.scoring.calibration import fit_calibration

# Started in the background, a shell makes us and our children deaf to Ctrl-C, which some tests press.
signal.signal(signal.SIGINT, signal.default_int_handler)

# The same tables whatever the terminal is.
out.width = WIDEST

# The same examples on every machine, however slow it is.
settings.register_profile("steady", deadline=None, derandomize=True, max_examples=50)
settings.load_profile("steady")

# No test asks the network for texts; those of the downloader ask a server of their own.
os.environ["STANCE_OFFLINE"] = "1"

ROOT = Path(__file__).parents[1]
WARM, COLD = "the kettle sings and the stove is hot", "the ice creaks under the frozen pier"
LABEL_NAMES = ("pro-sanctions", "pro-dialogue", "neutral")

# article -> part, and its sentences with their labels.
ARTICLES = {
    "kimchi.txt": (
        "train",
        [
            ("Tougher sanctions must stay until the last centrifuge ferments cabbage.", "pro-sanctions"),
            ("Only talks will fill the pot, the cook replied.", "pro-dialogue"),
            ("The cabbage harvest in Hamhung was average.", "neutral"),
        ],
    ),
    "noodles.txt": (
        "train",
        [
            ("Diplomacy is cold noodles, and both are best shared.", "pro-dialogue"),
            ("Close every loophole before lunch, the panel demanded.", "pro-sanctions"),
            ("The ferry to Wonsan had no lunch.", "neutral"),
        ],
    ),
    "letter-1": (
        "train",
        [
            ("Enforce the oil cap, or the tankers will go on whispering at night.", "pro-sanctions"),
            ("Sit down with them, she wrote, and bring biscuits.", "pro-dialogue"),
            ("Her stamp showed a magpie.", "neutral"),
        ],
    ),
    "letter-2": (
        "train",
        [
            ("Maximum pressure is the only dentist this regime fears.", "pro-sanctions"),
            ("Negotiations are slow, but so is rust, said the envoy.", "pro-dialogue"),
            ("He posted his reply on a Tuesday.", "neutral"),
        ],
    ),
    "letter-3": (
        "train",
        [
            ("Not one drop of relief before the reactor is a museum.", "pro-sanctions"),
            ("Ease the embargo and let the orchestras visit.", "pro-dialogue"),
            ("The second violin lives in Busan.", "neutral"),
        ],
    ),
    "letter-4": (
        "train",
        [
            ("Isolate the bankers, and the generals will learn arithmetic.", "pro-sanctions"),
            ("An open hotline beats a closed fist, the admiral argued.", "pro-dialogue"),
            ("The hotline is green.", "neutral"),
        ],
    ),
    "letter-5": (
        "test",
        [
            ("Stricter inspections would end the midnight coal picnic.", "pro-sanctions"),
            ("Return to the table, the mediator begged, it is already laid.", "pro-dialogue"),
            ("The table came from Geneva.", "neutral"),
        ],
    ),
    "letter-6": (
        "test",
        [
            ("Rewarding a missile with rice teaches the missile to be hungry.", "pro-sanctions"),
            ("A summit is worth its airfare, the minister insisted.", "pro-dialogue"),
            ("The airfare was refunded.", "neutral"),
        ],
    ),
}
CONFIG = """\
label_names: [pro-sanctions, pro-dialogue, neutral]
random_state: 13
selection: {folds: 2, resamples: 100}
evaluation: {lexicon: configs/lexicon.yaml}
candidates:
  - kind: majority
  - kind: keywords
    lexicon: configs/lexicon.yaml
"""


def pytest_collection_modifyitems(items):
    """Let files that hold slow tests come first: of two processes none waits for the other at the end."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


def article_text(name: str) -> str:
    return " ".join(text for text, _ in ARTICLES[name][1])


def write_project(folder: Path) -> None:
    """Write seeds, labels and configs; two annotators differ once, and that is adjudicated."""
    seeds, labels, configs = folder / "seeds", folder / "labels", folder / "configs"
    for made in (seeds, labels, configs):
        made.mkdir()
    rows, index = [], []
    with (seeds / "letters.jsonl").open("w", encoding="utf-8") as letters:
        for name, (split, sentences) in ARTICLES.items():
            text = article_text(name)
            if name.endswith(".txt"):
                (seeds / name).write_text(text, encoding="utf-8")
            else:
                letters.write(json.dumps({"id": name, "text": text, "title": f"On {name}"}) + "\n")
            index.append([name, "letter", split, "", "The Daily Parley", "2019-02-28", ""])
            for sentence, label in sentences:
                start = text.index(sentence)
                span = {"article_id": name, "start": start, "end": start + len(sentence), "text": sentence}
                rows += [span | {"label": label, "annotator": who} for who in ("ann", "bob")]
    # Bob was hungry.
    rows[-1]["label"] = "pro-dialogue"
    rows.append(rows[-1] | {"label": "neutral", "annotator": "adjudicated"})
    (labels / "letters.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    with (seeds / INDEX).open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream, lineterminator="\n").writerows([INDEX_COLUMNS, *index])
    (configs / "default.yaml").write_text(CONFIG, encoding="utf-8")
    shutil.copy(ROOT / "configs" / "lexicon.yaml", configs)


@pytest.fixture(scope="session")
def shared():
    """The folder of optional data, ../shared; a test that needs it fails where STANCE_SHARED names it and it is not."""
    folder = Path(os.environ.get("STANCE_SHARED") or ROOT.parent / "shared")
    if not (folder / "corpora").is_dir():
        stop = pytest.fail if os.environ.get("STANCE_SHARED") else pytest.skip
        stop(f"the optional data are not in {folder}; STANCE_SHARED names their folder")
    return folder


@pytest.fixture
def stance(monkeypatch, capsys):
    """Run the command line here; return exit code, standard output and standard error."""

    def ran(*words):
        monkeypatch.setattr(sys, "argv", ["stance", *map(str, words)])
        with pytest.raises(SystemExit) as stop:
            main()
        return stop.value.code, *capsys.readouterr()

    return ran


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Stand in a folder with a small seeds/, labels/ and configs/."""
    folder = tmp_path / "project"
    folder.mkdir()
    write_project(folder)
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture(scope="session")
def tables(tmp_path_factory):
    """An MLflow store that nothing was logged to, a file to copy: its tables take seconds to make."""
    from pipeline.tracking.store import Store, local_uri

    folder = tmp_path_factory.mktemp("tables")
    Store(local_uri(folder))
    return folder / "mlflow.db"


@pytest.fixture
def examples(project):
    return load_dataset(read_config("configs/default.yaml")).part("train")


@pytest.fixture(scope="session")
def repository():
    """The data that lies in this repository, without what is fetched."""
    with chdir(ROOT):
        config = read_config("configs/default.yaml")
        return load_dataset(
            config.model_copy(update={"data": Data(seeds=config.data.seeds, labels=config.data.labels)})
        )


def make_manifest(kind: str = "majority", **known) -> Manifest:
    """What a training knows of a model, the files apart."""
    scores = {"rows": 12, "articles": 4, "seconds": 1.5, "macro_f1": 0.61, "macro_f1_low": 0.55, "macro_f1_high": 0.66}
    scores |= {"ece": 0.042, "ece_low": 0.0, "ece_high": 0.09}
    scores |= {f"f1_{name}": value for name, value in zip(LABEL_NAMES, (0.4, 0.5, 0.6), strict=True)}
    rows = {"train/authored/neutral": 7, "train/authored/pro-dialogue": 2, "test/seed/pro-sanctions": 3}
    facts = {
        "label_names": LABEL_NAMES,
        "candidate": Candidate(name=kind, kind=kind),
        "abstention": Abstention(0.7, 400, 0.6, 0.5),
        "config": "small",
        "created": "2019-02-28T12:00:00Z",
        "git_commit": "c0ffee",
        "run_id": "a-run",
        "versions": {},
        "encoders": (),
        "data": TrainingData(digest="d1ge57", rows=rows, invented=("authored", "single")),
        "selection": Selection(reason="it was the only one that came", held_out=scores),
    }
    return Manifest(**facts | known)


@pytest.fixture(scope="session")
def champion(tmp_path_factory):
    """An exported model, trained on a little of the repository's own text."""
    candidate = Candidate(name="tfidf", kind="tfidf", options={"character_ngrams": [3, 4]})
    data = Data(seeds=ROOT / "seeds", labels=ROOT / "labels", limit=20)
    config = Config(name="small", label_names=LABEL_NAMES, candidates=(candidate,), data=data)
    dataset = load_dataset(config)
    train, held_out = dataset.part("train"), dataset.part("test")
    classifier = create(candidate, random_state=0)
    classifier.fit(train, LABEL_NAMES, lambda share, words: None)
    scores = classifier.decision_function([example.text for example in held_out])
    folds = np.unique([example.group for example in held_out], return_inverse=True)[1] % 3
    calibration = fit_calibration(scores, index_labels(held_out, LABEL_NAMES), folds)
    folder = tmp_path_factory.mktemp("models") / "champion"
    write_bundle(folder, classifier, make_manifest(candidate=candidate, calibration=calibration), "# The card\n")
    return folder


@pytest.fixture(scope="session")
def bundle(champion):
    return load_bundle(champion)


TINY = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """A real encoder of a few thousand weights, saved as a hub model is."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    torch.manual_seed(0)

    folder = tmp_path_factory.mktemp("tiny")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *sorted(set(f"{WARM} {COLD}".split()))]
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        "[CLS] $A [SEP]", "[CLS] $A [SEP] $B [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    special = {"unk_token": "[UNK]", "pad_token": "[PAD]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special).save_pretrained(folder)
    BertModel(BertConfig(vocab_size=len(words), **TINY)).save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="session")
def tiny_mpnet(tmp_path_factory):
    """Another sort of encoder: other names of layers, other special tokens, no token types, padding is number 1."""
    import torch
    from transformers import MPNetConfig, MPNetModel, MPNetTokenizer

    torch.manual_seed(0)

    folder = tmp_path_factory.mktemp("mpnet")
    words = ["<s>", "<pad>", "</s>", "[UNK]", *sorted(set(f"{WARM} {COLD}".split())), "<mask>"]
    MPNetTokenizer(vocab={word: i for i, word in enumerate(words)}).save_pretrained(folder)
    settings = TINY | {"max_position_embeddings": 130}
    MPNetModel(MPNetConfig(vocab_size=len(words), **settings)).save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="session")
def shallow(tmp_path_factory):
    """The first two layers of the encoder that ships: it knows words, at a third of the time."""
    from pipeline.classifiers.checkpoint import load_checkpoint
    from pipeline.classifiers.encoders import DEFAULT

    tokenizer, encoder = load_checkpoint(DEFAULT)
    encoder.encoder.layer = encoder.encoder.layer[:2]
    encoder.config.num_hidden_layers = 2
    folder = tmp_path_factory.mktemp("shallow")
    for part in (tokenizer, encoder):
        part.save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="session")
def tiny_pretrained(tiny, tmp_path_factory):
    """A pretrained model over the tiny encoder, as `stance pretrain` leaves one: of three labels, and of no use."""
    from pipeline.classifiers.adapter import AdapterOptions, train_adapter

    folder = tmp_path_factory.mktemp("pretrained") / "model"
    options = AdapterOptions(tiny, 2, (), epochs=1, learning_rate=1e-3, batch_size=8, max_length=32, random_state=0)
    texts = [f"{WARM} {i}" if i % 2 else f"{COLD} {i}" for i in range(24)]
    targets = np.eye(3)[np.arange(24) % 3]
    train_adapter(texts, targets, options, tmp_path_factory.mktemp("workspace"), folder, lambda share, words: None)
    head = {"encoder": tiny, "encoder_sha256": hash_file(Path(tiny, "model.safetensors"))}
    head |= {"label_names": LABEL_NAMES, "calibration": {"temperature": 2.0, "bias": [0.1, 0.2, 0.0]}}
    head |= {"abstain": {"target_precision": 0.9, "rows": 100, "confidence": 0.7, "coverage": 0.5}}
    head |= {"decision": {"offsets": []}}
    (folder / "head.json").write_text(json.dumps(head), encoding="utf-8")
    return str(folder)


NASTY = "</blockquote><script>fetch('http://goose.example')</script> Ease <b onclick='honk()'>the</b> embargo now."
NASTY_ROWS = [
    {"id": "=1+1", "text": NASTY, "label": "neutral", "source": "<script>origin</script>"},
    {"id": "b", "text": "Close every loophole, the goose demanded.", "label": "pro-dialogue", "outlet": "<img src=x>"},
    {"id": "c", "text": "It rained.", "label": "pro-sanctions", "outlet": "Honk & Sons"},
]


@pytest.fixture(scope="session")
def evaluation_of_nasty_text(champion, tmp_path_factory):
    """A project, an evaluation of a labelled file with nasty text on the shipped behaviour cases, and its page.

    The threshold is such that two of the three rows are answered, and one of them is right.
    """
    folder = tmp_path_factory.mktemp("evaluated")
    write_project(folder)
    (folder / "nasty.jsonl").write_text("".join(json.dumps(row) + "\n" for row in NASTY_ROWS))
    bundle = load_bundle(champion)
    second = float(np.sort(bundle.predict_proba([row["text"] for row in NASTY_ROWS]).max(1))[1])
    manifest = bundle.manifest.model_copy(update={"abstention": Abstention(0.7, 400, second, 0.5)})
    bundle = replace(bundle, manifest=manifest)
    with chdir(folder):
        config = read_config("configs/default.yaml")
        tried_on = config.evaluation.model_copy(update={"behaviour": ROOT / "configs" / "behaviour"})
        config = config.model_copy(update={"evaluation": tried_on})
        evaluation = evaluate(bundle, config, folder / "nasty.jsonl")
        page, _ = publish(evaluation, bundle, config, folder / "nasty.jsonl")
    return folder, evaluation, folder / page


@pytest.fixture
def evaluated(evaluation_of_nasty_text, monkeypatch):
    """The evaluation of nasty text and its page; the test stands in its project, and only reads."""
    folder, evaluation, page = evaluation_of_nasty_text
    monkeypatch.chdir(folder)
    return evaluation, page.relative_to(folder)
