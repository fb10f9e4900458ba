"""Students and their teachers: who learns what from whom, and that no held-out label is learned."""

import json
from pathlib import Path

import numpy as np
import pytest
from conftest import COLD, WARM
from refusals import refused

from pipeline.classifiers import create, index_labels
from pipeline.classifiers.distil import Distil, read_sentences
from pipeline.classifiers.folds import assign_folds, with_teachers
from pipeline.config import Candidate, Config, Data, Selection
from pipeline.data.dataset import Example
from pipeline.scoring import metrics
from pipeline.training.material import cut_unlabelled
from pipeline.training.results import cross_validate, refit
from pipeline.training.selection import check_candidates

NAMES = ("warm", "cold")
PARROT = Candidate(name="parrot", kind="tfidf", options={"C": 100.0, "min_df": 1})  # knows what it has seen
TAME = Candidate(name="tame", kind="tfidf", options={"C": 0.1, "min_df": 1})
BOTH = Candidate(name="both", kind="ensemble", options={"members": ["parrot", "tame"]})


def silent(share, words):
    pass


def example(number, text, label, origin="news", split="train"):
    article = f"{split}{number}"
    return Example(article, 0, 0, len(text), text, label, split, article, origin)


def examples(number=24, **options):
    rows = [(WARM, "warm"), (COLD, "cold")] * (number // 2)
    return [example(i, f"{text} {i}", label, **options) for i, (text, label) in enumerate(rows)]


def student(checkpoint, **options):
    options = {"checkpoint": checkpoint, "teacher": "both", "epochs": 2, "batch_size": 8} | options
    options = {"learning_rate": 3e-3, "head_rate": 1e-2, "freeze_words": False, "validation_share": 0.0} | options
    return Candidate(name="student", kind="distil", options=options)


def config(tmp_path, *candidates):
    return Config(
        name="small",
        label_names=NAMES,
        candidates=candidates,
        selection=Selection(folds=2, resamples=100),
        data=Data(invented=("fairy tale",)),
        cache=tmp_path,
    )


def fitted(candidate, rows=None, random_state=0):
    classifier = create(with_teachers(candidate, (PARROT, TAME, BOTH, candidate)), random_state)
    classifier.fit(rows or examples(), NAMES, silent)
    return classifier


@pytest.fixture(scope="module")
def taught(tiny):
    return fitted(student(tiny, epochs=15))


# What teachers think


def opinions(teachers, rows=None, unlabelled=(), folds=3, on_progress=silent, **options):
    """What teachers alone think of rows and of other texts."""
    asking = Distil(teachers=tuple(teachers), teacher_folds=folds, **{"label_share": 0.0} | options)
    return asking.soften_labels(rows or examples(), unlabelled, NAMES, on_progress)


def nonsense(number=160):
    """Sentences of words of their own, with labels that were dealt out at random."""
    labels = np.random.default_rng(3).integers(2, size=number)
    return [example(i, f"ba{i} bo{i} bi{i} bu{i}", NAMES[label]) for i, label in enumerate(labels)]


def test_a_teacher_does_not_repeat_the_labels_of_the_examples_it_is_asked_about():
    rows = nonsense()
    y = index_labels(rows, NAMES)
    memory = create(PARROT)
    memory.fit(rows, NAMES, silent)
    assert (memory.decision_function([row.text for row in rows]).argmax(1) == y).all()
    heard, _ = opinions([PARROT], rows, folds=4)
    assert (heard.argmax(1) == y).mean() < 0.6


def test_teachers_give_probabilities_of_examples_and_of_other_texts():
    labelled, others = opinions([PARROT, TAME], unlabelled=[COLD, WARM, COLD])
    assert labelled.shape == (24, 2) and np.allclose(labelled.sum(1), 1)
    assert others.argmax(1).tolist() == [1, 0, 1] and np.allclose(others.sum(1), 1)
    assert (labelled.argmax(1) == index_labels(examples(), NAMES)).all()


def test_a_teacher_that_knows_nothing_counts_for_less_than_one_that_knows():
    baseline = Candidate(name="majority", kind="majority")
    alone, _ = opinions([TAME])
    beside, _ = opinions([baseline, TAME])
    assert (beside.argmax(1) == alone.argmax(1)).all()


def test_a_label_has_its_share_of_what_is_learned():
    alone, mixed = (opinions([TAME], label_share=share)[0] for share in (0.0, 0.25))
    labels = np.eye(2)[index_labels(examples(), NAMES)]
    assert np.allclose(mixed, 0.25 * labels + 0.75 * alone)


def test_no_article_is_divided_among_teachers():
    groups = [f"a{i // 3}" for i in range(30)]
    numbers = assign_folds([i % 2 for i in range(30)], groups, 3, 0)
    assert all(len({numbers[i], numbers[i + 1], numbers[i + 2]}) == 1 for i in range(0, 30, 3))
    assert set(numbers) == {0, 1, 2}


def test_a_label_in_two_articles_is_divided_in_two_whatever_was_asked():
    words = []
    rows = [*examples(2), *examples(4)[2:]]
    opinions([TAME], rows, folds=5, on_progress=lambda _, what: words.append(what))
    assert {what.partition(": ")[0] for what in words} == {"teacher tame, fit 1 of 2", "teacher tame, fit 2 of 2"}


def test_a_label_in_one_article_is_one_line():
    rows = [row for row in examples() if row.label == "cold"] + [example(99, WARM, "warm")]
    error = refused(opinions, [TAME], rows)
    assert error.what == "'warm' has examples in one article" and (error.expected, error.then) == (
        "two or more",
        "label more",
    )


# Names become definitions


def test_a_teaching_ensemble_becomes_its_members(tiny):
    found = with_teachers(student(tiny), (PARROT, TAME, BOTH))
    assert found.options["teachers"] == [PARROT, TAME]


def test_a_student_may_teach(tiny):
    master = Candidate(name="master", kind="distil", options={"teacher": "parrot", "checkpoint": tiny})
    found = with_teachers(student(tiny, teacher="master"), (PARROT, master))
    (teacher,) = found.options["teachers"]
    assert teacher.options["teachers"] == [PARROT]


def test_who_has_no_teacher_stays():
    assert with_teachers(BOTH, (PARROT, TAME, BOTH)) is BOTH


@pytest.mark.parametrize(("teacher", "words"), [("oracle", "refers to oracle"), (None, "refers to no other one")])
def test_a_teacher_is_a_candidate_before_the_student(tiny, teacher, words):
    candidate = student(tiny)
    candidate.options.pop("teacher")
    if teacher:
        candidate.options["teacher"] = teacher
    error = refused(check_candidates, [PARROT, candidate, TAME])
    assert (error.where, error.what) == ("candidate 'student'", words)
    assert error.expected == "candidates before it: parrot"


@pytest.mark.parametrize(
    ("option", "value"), [("teacher_folds", 1), ("label_share", 1.5), ("unlabelled", "text.jsonl")]
)
def test_an_option_that_cannot_be_is_one_line(tiny, option, value):
    error = refused(create, student(tiny, **{option: value}))
    assert error.what.startswith(f"option `{option}`: ") and error.expected.startswith("options of distil: ")


# The student


def test_a_student_learns_from_teachers_alone(tiny):
    classifier = fitted(student(tiny, epochs=15, label_share=0.0))
    assert classifier.decision_function([WARM, COLD]).argmax(1).tolist() == [0, 1]


def test_a_student_is_exported_as_one_encoder(taught, tiny):
    exported = create(Candidate(**student(tiny).model_dump()))
    state = taught.state()
    exported.restore(state)
    texts = [row.text for row in examples()]
    assert np.allclose(exported.decision_function(texts), taught.decision_function(texts), atol=0.05)
    alone = create(Candidate(name="x", kind="finetune", options={"checkpoint": tiny, "epochs": 1}))
    alone.fit(examples(), NAMES, silent)
    assert state.values == {} and state.arrays == {}
    sizes, expected = ({name: len(blob) for name, blob in s.blobs.items()} for s in (state, alone.state()))
    assert sizes == pytest.approx(expected, rel=0.01)


def test_the_same_random_state_gives_the_same_scores(tiny):
    found = [fitted(student(tiny)).decision_function([WARM, COLD]) for _ in range(2)]
    assert np.array_equal(*found)


def test_teachers_may_label_what_nobody_has(tiny, tmp_path):
    file = tmp_path / "sentences.jsonl"
    file.write_text("".join(json.dumps(f"{text} {i}") + "\n" for i in range(40) for text in (WARM, COLD)))
    few = examples(8)
    found = [fitted(student(tiny, **more), few) for more in ({}, {"unlabelled": [str(file)]})]
    margins = [np.diff(classifier.decision_function([COLD, WARM]))[:, 0] for classifier in found]
    assert margins[1][0] - margins[1][1] > margins[0][0] - margins[0][1]


# No held-out label is learned


def twins(change):
    """Each sentence stands in both folds; the label of one says all about that of the other.

    Whoever hears a label of fold 0 by way of its twin in fold 1 has an advantage on fold 0.
    """
    rows = nonsense(40)
    again = [example(100 + i, row.text, NAMES[1 - NAMES.index(row.label)]) for i, row in enumerate(rows)]
    if change:
        rows = [example(i, row.text, NAMES[1 - NAMES.index(row.label)]) for i, row in enumerate(rows)]
    return [*rows, *again], np.array([0] * 40 + [1] * 40)


def scored(tmp_path, candidate, change):
    rows, folds = twins(change)
    settings = config(tmp_path / str(change), PARROT, TAME, BOTH, candidate)
    return cross_validate(candidate, rows, folds, settings, silent).scores


def test_labels_that_are_held_out_change_no_score_of_theirs(tiny, tmp_path):
    """Random labels in the held-out fold: other random labels there must give the very same scores."""
    candidate = student(tiny, label_share=0.0)
    first, second = (scored(tmp_path, candidate, change) for change in (False, True))
    assert np.array_equal(first[:40], second[:40])
    assert not np.array_equal(first[40:], second[40:])  # which the other fold learns from


def test_a_student_of_the_pretrained_model_is_not_scored_on_invented_text(tiny, tmp_path):
    teacher = Candidate(name="pretrained", kind="pretrained")
    candidate = student(tiny, teacher=teacher.name, epochs=1)
    names = ("pro-sanctions", "pro-dialogue", "neutral")
    rows = [
        example(i, f"{WARM} {i}", names[i % 3], origin="fairy tale" if i % 2 else "news", split="train")
        for i in range(24)
    ]
    settings = config(tmp_path, teacher, candidate).model_copy(update={"label_names": names})
    found = cross_validate(candidate, rows, np.arange(24) // 6 % 2, settings, silent)
    assert {row.origin for row, unseen in zip(found.examples, found.held_out, strict=True) if unseen} == {"news"}


def test_a_student_whose_teacher_changed_is_scored_anew(tiny, tmp_path):
    told = []
    for parrot in (PARROT, PARROT, PARROT.model_copy(update={"options": {"C": 5.0, "min_df": 1}})):
        words = []
        candidate = student(tiny, teacher="parrot", epochs=1)
        settings = config(tmp_path, parrot, candidate)
        folds = np.arange(24) // 2 % 2
        cross_validate(candidate, examples(), folds, settings, lambda share, what, w=words: w.append(what))
        told.append(bool(words))
    assert told == [True, False, True]


def test_a_selected_student_is_refitted_with_its_teachers(tiny, tmp_path):
    candidate = student(tiny, epochs=15)
    settings = config(tmp_path, PARROT, TAME, BOTH, candidate)
    found = cross_validate(candidate, examples(), np.arange(24) // 2 % 2, settings, silent)
    classifier = refit(found, examples(), settings, silent)
    assert classifier.decision_function([WARM, COLD]).argmax(1).tolist() == [0, 1]


@pytest.mark.slow
def test_a_student_learns_from_sentences_that_its_teacher_alone_has_labelled(repository, shallow, tmp_path):
    """On this project's own text: 12 labels, and 80 sentences that the pretrained model reads for the student."""
    names = ("pro-sanctions", "pro-dialogue", "neutral")
    rows = sorted((e for e in repository.part("train") if e.origin == "authored"), key=lambda e: e.id)
    few = [e for name in names for e in [e for e in rows if e.label == name][::40][:4]]
    articles = sorted({e.article_id for e in rows} - {e.article_id for e in few})
    reading = [e.text for e in rows if e.article_id in articles[::2]][:80]
    unseen = [e for e in rows if e.article_id in articles[1::2]][:100]
    file = tmp_path / "sentences.jsonl"
    file.write_text("".join(json.dumps(text) + "\n" for text in reading), encoding="utf-8")
    options = {"checkpoint": shallow, "max_length": 32, "learning_rate": 3e-4, "validation_share": 0.0}
    teacher = Candidate(name="pretrained", kind="pretrained").model_dump()
    candidates = [
        Candidate(name="alone", kind="finetune", options=options | {"epochs": 8 * 92 // 12}),  # as many steps
        Candidate(
            name="student",
            kind="distil",
            options=options | {"epochs": 8, "teachers": [teacher], "unlabelled": [str(file)]},
        ),
    ]
    y_true, scores = index_labels(unseen, names), []
    for candidate in candidates:
        classifier = create(candidate)
        classifier.fit(few, names, silent)
        y_pred = classifier.decision_function([e.text for e in unseen]).argmax(1)
        scores.append(float(metrics.macro_f1(metrics.confusion(y_true, y_pred, 3))))
    assert scores[1] > scores[0] + 0.1, scores


# Unlabelled text


@pytest.fixture
def letters(tmp_path):
    file = tmp_path / "letters.jsonl"
    rows = [
        {"id": "letter", "text": f"{WARM.capitalize()} 0. The gulls of Nampo were loud the whole week."},
        {"id": "test7", "text": "This one belongs to a document whose labels are held out."},
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return file


def test_unlabelled_text_holds_no_labelled_sentence_and_no_held_out_document(letters, tiny, tmp_path):
    rows = [*examples(2), example(7, "Held out.", "warm", split="test")]
    settings = config(tmp_path / "cache", PARROT, student(tiny, teacher="parrot", unlabelled=[str(letters)]))
    cut = cut_unlabelled(settings, rows)
    assert cut.candidates[0] == PARROT
    (file,) = cut.candidates[1].options["unlabelled"]
    assert read_sentences(Path(file)) == ["The gulls of Nampo were loud the whole week."]
    assert cut_unlabelled(settings, rows) == cut
    assert cut_unlabelled(settings, []) != cut


def test_unlabelled_text_that_is_not_there_is_one_line(tiny, tmp_path):
    settings = config(tmp_path, PARROT, student(tiny, unlabelled=["nowhere.jsonl"]))
    error = refused(cut_unlabelled, settings, [])
    assert error.where == "candidate 'student', `unlabelled`" and error.what == "no such file or folder: nowhere.jsonl"


def test_unlabelled_text_that_is_labelled_throughout_is_one_line(tiny, tmp_path):
    file = tmp_path / "known.txt"
    file.write_text(f"{WARM} 0.")
    settings = config(tmp_path, PARROT, student(tiny, unlabelled=[str(file)]))
    error = refused(cut_unlabelled, settings, [example(0, f"{WARM} 0.", "warm")])
    assert error.what == "holds no sentence that is not labelled already"
    assert (error.where, error.expected) == ("candidate 'student', `unlabelled`", "articles without labels")
