"""Rebuild the pretrained models that ship: an adapter of a base-size encoder, a small one that it teaches, its expert.

The small model learns from labels where there are such, and from what its teacher thinks of these and of
unlabelled text of the domain (Hinton et al., 2015). Documents of the validation and test parts are never learned
from; the validation part calibrates.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from itertools import compress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.classifiers import cascade, create, index_labels
from pipeline.classifiers.encoders import DEFAULT
from pipeline.classifiers.expert import fit_router
from pipeline.classifiers.pretrained import (
    Pretrained,
    ordered_calibration,
    write_expert,
    write_first_stage,
    write_second_stage,
)
from pipeline.classifiers.pretrained_folder import ADAPTER, HEAD, PREFIX, SECOND_STAGE, find_folder, read_head
from pipeline.config import Candidate, Config
from pipeline.data.dataset import load_dataset
from pipeline.data.digest import fingerprint, hash_file
from pipeline.data.examples import Example
from pipeline.data.files import write_whole, write_whole_folder
from pipeline.data.patterns import make_sentences
from pipeline.data.splitting import normalize
from pipeline.errors import InputError
from pipeline.evaluation.behaviour import read_cases
from pipeline.progress import ProgressCallback, step_of
from pipeline.scoring.abstention import find_threshold
from pipeline.scoring.calibration import Calibration, fit_calibration, softmax
from pipeline.scoring.decision import DecisionRule, fit_decision_rule
from pipeline.scoring.metrics import MACRO_F1, confusion, macro_f1, measure
from pipeline.scoring.predictions import Predictions
from pipeline.training.material import unlabelled_sentences

if TYPE_CHECKING:
    from pipeline.classifiers.adapter import AdapterOptions

PATTERNS = "patterns.yaml"
PLAIN = "contrast", "pattern", "single"  # origins of plain short sentences
HELD_OUT = ("validation", "full-article-validation")  # sampled sentences, and all sentences of whole articles
SHARES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)  # of a smaller model in what it says with a larger one
STRENGTHS = (0.7, 3.0)  # of a first stage's pull to zero: the one with which it answers most is kept
CHUNK = 1024  # texts that a teacher labels before what it thinks of them is kept
CARD = """\
# A pretrained model: a low-rank adapter for {encoder}

Made {created} by `stance pretrain`. A LoRA adapter, in 8 bits, with its classification head, for the
encoder {encoder} (not included; it is checked by sha256).

**Data.** {labelled} labelled real sentences (news, UN speeches, government texts, headlines, state media; the
`train` documents of `labels/external/split.csv`), {own} invented sentences of this project (its train
part, and those made of parts), and {unlabelled} sentences of the domain without labels{before}.
No real text is in this repository; weights hold no sentence of it as text. Labels are a large language
model's reading under `labels/CODEBOOK.md`; no domain expert has reviewed them.

**Scores.** Macro-F1 on the part `{part}`, which calibrates it and was used to choose the recipe:
{score}, without an expert beside it{whole}.
Scores on documents that nothing was chosen by stand in the project's README.

| source | sentences | macro-F1 |
|---|---|---|
{sources}

**Recipe.** {teaching} (`EXPERIMENTS.md` says what else was tried).

{recipe}

**Limits.** English; {limits}

**Licence.** Apache-2.0.
"""
NEWS_LIMITS = """\
sentences on policy toward North Korea, one at a time. Weaker on headlines and on positions
that only the context shows; in running news, where most sentences are neutral, precision on the two sides is
lower than on sampled sentences. Outlets are mostly American and British, 2012 to 2020."""
PLAIN_LIMITS = """\
plain sentences on policy toward North Korea, one at a time, as people type them. It reads what a router
sends it in place of `{helps}` (a hundredth of news); alone it reads news badly."""


@dataclass(frozen=True)
class Stage:
    """Some epochs over one choice of rows, at a rate that falls to nothing."""

    epochs: int
    learning_rate: float
    invented: bool = True  # whether this project's own text is among the rows
    most_common: int = 1_000_000  # how many real sentences of the commonest label are, drawn at random
    longest: int = 1_000_000  # words of the real sentences that are
    unlabelled: bool = False  # whether sentences without labels are


@dataclass(frozen=True)
class PretrainRecipe:
    """How a pretrained model is made; its card repeats it."""

    encoder: str
    stages: tuple[Stage, ...]
    begins_with: str = ""  # the pretrained model whose adapter it goes on from; without one it begins anew
    teacher: str = ""  # the pretrained model that teaches it; without one it learns from labels alone
    label_share: float = 0.5  # of a label beside the teacher's probabilities, or beside equal ones
    patterns: int = 0  # sentences made of parts (`labels/patterns.yaml`) that are among the invented ones
    calibrated_on: tuple[str, ...] = HELD_OUT  # parts; the score on its card is that on the first
    helps: str = ""  # the pretrained model whose expert it is
    layers: tuple[int, ...] = ()  # the blocks that are adapted; empty: all
    rank: int = 32
    batch_size: int = 32
    max_length: int = 128
    random_state: int = 13


RECIPES = {
    # In the last epoch of the weights that ship, what two models before them said was a part of the targets of real
    # sentences, and 4,479 unlabelled ones were among the rows (EXPERIMENTS.md).
    "accurate": PretrainRecipe(
        "all-mpnet-base-v2",
        (
            Stage(2, 4e-4, invented=False, most_common=5000),
            Stage(2, 3.5e-4, most_common=4500),
            Stage(1, 2.5e-4, most_common=4500),
        ),
        label_share=0.95,
        patterns=3600,
        layers=tuple(range(6, 12)),
    ),
    # Seven epochs, and the teachers of those, are in what it goes on from.
    "small": PretrainRecipe(
        DEFAULT, (Stage(2, 5e-4, most_common=5500, unlabelled=True),), begins_with="small", teacher="accurate"
    ),
    "plain": PretrainRecipe(
        DEFAULT,
        (Stage(4, 6e-4, longest=12),),
        begins_with="small",
        label_share=0.95,
        patterns=5000,
        calibrated_on=("contrast-validation",),
        helps="small",
        random_state=17,
    ),
}


def pretrain(
    config: Config,
    recipe: PretrainRecipe,
    unlabelled: Sequence[Path],
    output: Path,
    on_progress: ProgressCallback,
    checkpoint: str = "",
) -> dict[str, object]:
    """Train the adapter and write it with its head and card; goes on where an earlier call stopped.

    The teacher alone labels the sentences of `unlabelled`, tables or folders of articles. `checkpoint` is a folder with
    the encoder, the teacher's if there is one, where that is not to be fetched. What was made for the model in `output`
    that this one replaces (first stage, held-out facts) goes with that.
    """
    from pipeline.classifiers.adapter import AdapterOptions, score_adapter
    from pipeline.classifiers.checkpoint import WEIGHTS, find_checkpoint
    from pipeline.classifiers.encoding import frozen_encoder

    own_checkpoint = "" if recipe.encoder == DEFAULT else checkpoint
    train, validation = _rows(config, recipe.calibrated_on)
    texts = unlabelled_sentences(unlabelled, [*train, *validation])
    train += _patterns(recipe, config)
    targets = _targets(recipe, train, texts, config, checkpoint, step_of(on_progress, 0, 2))
    inputs = np.array([*(row.input for row in train), *texts], object)
    done = find_folder(PREFIX + recipe.begins_with) if recipe.begins_with else None
    shared = {name: getattr(recipe, name) for name in ("encoder", "rank", "layers", "batch_size", "max_length")}
    used: set[int] = set()
    for number, stage in enumerate(recipe.stages):
        state = recipe.random_state + number
        step = step_of(step_of(on_progress, 1, 2), number, len(recipe.stages))
        chosen = _choose(train, len(texts), stage, config, state)
        used.update(chosen.tolist())
        options = AdapterOptions(**shared, epochs=stage.epochs, learning_rate=stage.learning_rate, random_state=state)
        done = _learn(inputs[chosen].tolist(), targets[chosen], options, done, config.cache, own_checkpoint, step)
    assert done
    scores = score_adapter(recipe.encoder, done, [row.text for row in validation], recipe.max_length, own_checkpoint)
    learned = [row.origin in config.data.invented for number, row in enumerate(train) if number in used]
    own, unlabelled_used = sum(learned), len(used) - len(learned)
    counts = {"labelled": len(learned) - own, "own": own, "unlabelled": unlabelled_used, "validation": len(validation)}
    facts, rows = _calibrate(scores, validation, config)
    card: dict[str, Any] = {
        "encoder": recipe.encoder,
        "encoder_sha256": hash_file(find_checkpoint(recipe.encoder, own_checkpoint) / WEIGHTS),
        "label_names": list(config.label_names),
        "created": time.strftime("%Y-%m-%d", time.gmtime()),
        "recipe": asdict(recipe),
        "rows": counts,
        **facts,
    }
    with write_whole_folder(output) as partial:
        shutil.copytree(done, partial, dirs_exist_ok=True)
        (partial / HEAD[0]).write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")
        (partial / "README.md").write_text(_write_card(card, rows, validation), encoding="utf-8")
    read_head.cache_clear()  # what is remembered by this folder's name is no longer what lies there
    frozen_encoder.cache_clear()
    return card


def _learn(
    texts: Sequence[str],
    targets: np.ndarray,
    options: AdapterOptions,
    before: Path | None,
    cache: Path,
    checkpoint: str,
    on_progress: ProgressCallback,
) -> Path:
    """Train one stage, on from the one before, unless it was trained already; return where its adapter lies."""
    from pipeline.classifiers.adapter import train_adapter

    learned = [list(texts), targets.tolist(), asdict(options), hash_file(before / ADAPTER[1]) if before else ""]
    place = cache / "pretrain" / fingerprint({"pipeline.classifiers.adapter"}, *learned)
    work, done = place / "work", place / "done"
    if not done.exists():
        train_adapter(texts, targets, options, work, done, on_progress, checkpoint, goes_on_from=before)
    return done


def _rows(config: Config, held_out: Sequence[str] = HELD_OUT) -> tuple[list[Example], list[Example]]:
    """Return the train part and the held-out parts; InputError where there is no real text."""
    if config.data.corpora is None or not config.data.corpora.exists():
        raise InputError(config.name, "has no real text here", expected="data.corpora", then="run `stance corpora`")
    dataset = load_dataset(config)
    return list(dataset.part("train")), [row for part in held_out for row in dataset.part(part)]


def _patterns(recipe: PretrainRecipe, config: Config) -> list[Example]:
    """Return sentences made of parts, none of which stands among held-out ones or the cases of behaviour."""
    if not recipe.patterns:
        return []
    file, cases = config.data.labels / PATTERNS, read_cases(config.evaluation.behaviour, config.label_names)
    held_out = [row.text for row in load_dataset(config).examples if row.split != "train"]
    known = {normalize(text) for text in [*held_out, *(text for case in cases for text in case.texts)]}
    return make_sentences(file, recipe.patterns, config.label_names, recipe.random_state, known)


def _targets(
    recipe: PretrainRecipe,
    train: Sequence[Example],
    texts: Sequence[str],
    config: Config,
    checkpoint: str,
    on_progress: ProgressCallback,
) -> np.ndarray:
    """Return what is to be learned of labelled and of unlabelled texts: probabilities, shape (n + m, k)."""
    truth = np.eye(len(config.label_names))[index_labels(train, config.label_names)]
    if recipe.teacher:
        soft = teach(recipe.teacher, [*(row.input for row in train), *texts], config, checkpoint, on_progress)
    else:
        soft = np.full((len(train) + len(texts), truth.shape[1]), 1 / truth.shape[1])
    soft[: len(train)] = recipe.label_share * truth + (1 - recipe.label_share) * soft[: len(train)]
    return soft


def teach(
    model: str, texts: Sequence[str], config: Config, checkpoint: str, on_progress: ProgressCallback
) -> np.ndarray:
    """Return a pretrained model's probabilities for texts, shape (n, k); what it has said is remembered."""
    options = {"model": model, "checkpoint": checkpoint, "precision": "float32"}
    teacher = create(Candidate(name="teacher", kind="pretrained", options=options))
    teacher.fit([], config.label_names, on_progress)
    place = config.cache / "pretrain" / fingerprint(teacher.modules, texts, files=teacher.files)
    place.mkdir(parents=True, exist_ok=True)
    parts = []
    for start in range(0, len(texts), CHUNK):
        on_progress(start / len(texts), f"the teacher reads sentence {start + 1:,} of {len(texts):,}")
        file = place / f"{start}.npy"
        if not file.exists():
            with write_whole(file) as partial, partial.open("wb") as stream:
                np.save(stream, softmax(teacher.decision_function(texts[start : start + CHUNK])))
        parts.append(np.load(file, allow_pickle=False))
    return np.concatenate(parts)


def _choose(train: Sequence[Example], unlabelled: int, stage: Stage, config: Config, random_state: int) -> np.ndarray:
    """Return the positions of the rows of a stage; those of the unlabelled texts come after the labelled ones."""
    y, own = index_labels(train, config.label_names), np.array([row.origin in config.data.invented for row in train])
    common = np.flatnonzero((y == np.bincount(y).argmax()) & ~own)
    few = np.random.default_rng(random_state).permutation(common)[: stage.most_common]
    kept = np.ones(len(train), bool)
    kept[common] = False
    kept[few] = True
    kept &= ~own | stage.invented
    kept &= own | np.array([len(row.text.split()) <= stage.longest for row in train])
    return np.append(np.flatnonzero(kept), len(train) + np.arange(unlabelled if stage.unlabelled else 0))


def pretrain_expert(config: Config, folder: Path, expert: str) -> dict[str, object]:
    """Put an expert for plain sentences beside a pretrained model, and the router that tells these from news.

    The router learns from the train part: news against groups that differ by little, single invented sentences and
    those made of parts. How much of news goes to the expert is set on the validation parts. Stages and vectors of the
    model are to be rebuilt afterwards.
    """
    train, held_out = _rows(config, (*HELD_OUT, "contrast-validation"))
    mine = [row.input for row in [*train, *_patterns(RECIPES[expert], config)] if row.origin in PLAIN]
    news = [row.input for row in train if row.origin not in config.data.invented]
    parts = {part: [row.input for row in held_out if row.split == part] for part in (*HELD_OUT, "contrast-validation")}
    tokenizer = Pretrained(model=expert).tokenizer
    router = fit_router(tokenizer, mine, news, [text for part in HELD_OUT for text in parts[part]])
    facts: dict[str, object] = {
        "takes": {part: round(float(router.takes(texts).mean()), 3) for part, texts in parts.items() if texts}
    }
    write_expert(expert, router, facts, folder)
    return facts


def pretrain_first_stage(
    config: Config, unlabelled: Sequence[Path], folder: Path, on_progress: ProgressCallback, checkpoint: str = ""
) -> dict[str, object]:
    """Distil a pretrained model into its first stage, beside it; return what that does on held-out text.

    Its threshold is chosen on the validation parts, sampled sentences, whole articles and groups that differ by
    little: on none of them does it give another label than the model. How often it would have, had their
    articles not been there, is counted over five folds.
    """
    train, held_out = _rows(config, (*HELD_OUT, "contrast-validation"))
    texts = [row.input for row in train] + unlabelled_sentences(unlabelled, [*train, *held_out])
    own = [row.input for row in held_out]
    options = {"model": str(folder), "checkpoint": checkpoint}
    model = create(Candidate(name="pretrained", kind="pretrained", options=options))
    model.fit([], config.label_names, on_progress)
    on_progress(0.1, f"the model labels {len(texts) + len(own)} sentences")
    probabilities = softmax(model.decision_function(texts + own))
    on_progress(0.9, "distil")
    labels = (model.own_decision(config.label_names) or DecisionRule()).decide(probabilities[len(texts) :])

    tokenizer, tried = model.state().blobs["tokenizer.json"], []
    for strength in STRENGTHS:
        stage = cascade.fit(tokenizer, texts, probabilities[: len(texts)], strength)
        scores, sided = stage.scores(own), labels != stage.rest.index(0.0)
        stage = replace(stage, threshold=cascade.choose_threshold(scores, sided))
        tried.append((float((scores < stage.threshold).mean()), stage, scores, sided))
    _, stage, scores, sided = max(tried, key=lambda each: each[0])
    folds = np.unique([row.group for row in held_out], return_inverse=True)[1] % 5
    lost = 0
    for fold in range(5):
        threshold = cascade.choose_threshold(scores[folds != fold], sided[folds != fold])
        lost += int((scores[sided & (folds == fold)] < threshold).sum())
    answered = scores < stage.threshold
    whole = np.array([row.split == "full-article-validation" for row in held_out])
    facts: dict[str, object] = {
        "sentences": len(own),
        "answered": round(float(answered.mean()), 3),
        "answered_in_whole_articles": round(float(answered[whole].sum() / max(whole.sum(), 1)), 3),
        "other_labels": int(sided.sum()),
        "lost_out_of_fold": lost,
    }
    write_first_stage(stage, config.label_names, facts, folder)
    return facts


def pretrain_second_stage(
    config: Config, folder: Path, smaller: str, on_progress: ProgressCallback, checkpoint: str = ""
) -> dict[str, object]:
    """Put a smaller model beside a larger one: its share in what both say, and from when on it may answer alone.

    Both are chosen on the validation parts: the share by macro-F1, then the confidence so that macro-F1 and each recall
    fall by half a point at most, on real text and on groups that differ by little. What was found of the larger one
    alone (calibration, threshold) is found anew for both. A first stage of the larger one is to be rebuilt afterwards.
    `folder` is the larger model's, `checkpoint` a folder with its encoder, where that is not to be fetched.
    """
    _, held_out = _rows(config, (*HELD_OUT, "contrast-validation"))
    (folder / SECOND_STAGE).unlink(missing_ok=True)
    texts, smaller_folder = [row.input for row in held_out], Pretrained(model=smaller).folder
    full = np.log(teach(str(folder), texts, config, checkpoint, on_progress))
    small = np.log(teach(smaller, texts, config, "", on_progress))
    real, y_true = np.array([row.split in HELD_OUT for row in held_out]), index_labels(held_out, config.label_names)
    own, mine = (ordered_calibration(read_head(place), config.label_names) for place in (smaller_folder, folder))
    share, both, facts = _mix(own.undo(small), mine.undo(full), held_out, real, config)
    small, decide = softmax(small), DecisionRule(**facts["decision"]).decide
    parts = [part for part in (real, ~real) if part.any()]
    least = max(cascade.choose_confidence(y_true[part], small[part], both[part], decide) for part in parts)
    sure = small.max(1) >= least
    other = decide(np.where(sure[:, None], small, both)) != decide(both)
    facts |= {"sentences": int(real.sum()), "answered": round(float(sure[real].mean()), 3)}
    facts["other_labels"] = int(other[real].sum())
    write_second_stage(smaller, {"least": least, "share": share}, facts, folder)
    return {"least": least, "share": share} | facts


def _mix(
    small: np.ndarray, full: np.ndarray, held_out: Sequence[Example], real: np.ndarray, config: Config
) -> tuple[float, np.ndarray, dict[str, Any]]:
    """Return the share of a smaller model, from raw scores of both: the probabilities then, and what is found of them.

    Macro-F1 on real text (`real`, shape (n,)) and on the others, groups that differ by little, count the same.
    """
    y_contrast = index_labels(list(compress(held_out, ~real)), config.label_names)
    best, chosen = -1.0, None
    for share in SHARES:
        logs = cascade.mix_logs(small, full, share)
        facts, rows = _calibrate(logs[real], list(compress(held_out, real)), config)
        probabilities = Calibration.from_dict(facts["calibration"]).apply(logs)
        y_pred = DecisionRule(**facts["decision"]).decide(probabilities[~real])
        value = MACRO_F1.value(rows)
        value += float(macro_f1(confusion(y_contrast, y_pred, len(config.label_names)))) if len(y_pred) else 0.0
        if value > best:
            best, chosen = value, (share, probabilities, facts)
    assert chosen
    return chosen


def pretrain_held_out(config: Config, folder: Path, on_progress: ProgressCallback) -> int:
    """Put the vectors of the real validation documents beside a pretrained model; return the number of sentences."""
    _, held_out = _rows(config)
    on_progress(0.1, f"the model reads {len(held_out)} sentences that it never learned from")
    return Pretrained(model=str(folder)).write_held_out(held_out)


def _calibrate(scores: np.ndarray, validation: Sequence[Example], config: Config) -> tuple[dict[str, Any], Predictions]:
    """Return calibration, decision, threshold and score on the validation rows, and what is then said of these."""
    y_true, groups = index_labels(validation, config.label_names), np.array([row.group for row in validation])
    folds = np.unique(groups, return_inverse=True)[1] % 5
    calibration = fit_calibration(scores, y_true, folds)
    probabilities = calibration.apply(scores)
    decision, y_pred = fit_decision_rule(y_true, probabilities, folds)
    # The headline and the threshold are those of the sampled sentences: whole articles are easier, and mostly neutral.
    sampled = np.array([row.split != "full-article-validation" for row in validation])
    rows = Predictions(y_true, y_pred, probabilities, groups)
    score = measure(MACRO_F1, rows.take(sampled))
    facts = {
        "calibration": calibration.to_dict(),
        "decision": asdict(decision),
        "abstain": find_threshold(rows.take(sampled), config.abstain.precision).to_dict(),
        "validation_macro_f1": [round(value, 4) for value in (score.value, score.low, score.high)],
    }
    return facts, rows


def _write_card(card: dict[str, Any], rows: Predictions, validation: Sequence[Example]) -> str:
    """Return the model's card, Markdown, from what is stored beside the adapter and the validation rows."""
    recipe, origins = card["recipe"], np.array([row.origin for row in validation])
    sources = {name: rows.take(origins == name) for name in np.unique(origins).tolist()}
    teacher = f"the probabilities of `{recipe['teacher']}`" if recipe["teacher"] else "smoothed labels"
    return CARD.format(
        created=card["created"],
        encoder=card["encoder"],
        **card["rows"],
        score="{:.3f} [{:.3f}, {:.3f}]".format(*card["validation_macro_f1"]),
        sources="\n".join(f"| {name} | {len(own)} | {MACRO_F1.value(own):.3f} |" for name, own in sources.items()),
        part=recipe["calibrated_on"][0],
        whole=", as `whole` did: all sentences of whole articles" if "whole" in sources else "",
        before=f"; `{recipe['begins_with']}`, from which it goes on, had its own" if recipe["begins_with"] else "",
        limits=PLAIN_LIMITS.format(**recipe) if recipe["helps"] else NEWS_LIMITS,
        teaching=f"One adapter learns from labels and {teacher}",
        recipe="\n".join(f"- `{name}`: {value}" for name, value in recipe.items()),
    )
