"""Comparing candidates: folds, the cache, ensembles, and the choice."""

from dataclasses import replace

import numpy as np
import pytest
from refusals import refused

from pipeline.classifiers import create
from pipeline.config import Candidate, Config, Data, Selection
from pipeline.data.dataset import Example
from pipeline.scoring.calibration import Calibration, fit_calibration
from pipeline.scoring.decision import DecisionRule
from pipeline.training.results import CandidateResult, combine, cross_validate, refit
from pipeline.training.rows import ALWAYS, check_classes, check_validation, exclude_active_samples, make_folds
from pipeline.training.selection import check_candidates, select

NAMES = ("for", "against", "neither")


def silent(share, words):
    pass


def config(tmp_path, *candidates, **selection):
    return Config(
        name="small",
        label_names=NAMES,
        candidates=candidates or (Candidate(name="majority", kind="majority"),),
        selection=Selection(**{"folds": 3, "resamples": 200, "real_rows": 30} | selection),
        data=Data(invented=("fairy tale",)),
        cache=tmp_path,
    )


def examples(number, origin="news", split="train"):
    """Rows whose label is told by their words, three to an article."""
    words = {"for": "more tea please", "against": "no more tea", "neither": "the kettle is blue"}
    return [
        Example(
            f"{split}{i // 3}",
            i % 3,
            0,
            9,
            f"{words[NAMES[i % 3]]} {i}",
            NAMES[i % 3],
            split,
            f"{split}{i // 3}",
            origin,
        )
        for i in range(number)
    ]


def result(name, right, *, kind="tfidf", number=120, real=True, random_state=0):
    """A candidate that is right on a share of the rows."""
    rng = np.random.default_rng(random_state)
    rows = tuple(examples(number, "news" if real else "fairy tale"))
    y_true = np.array([NAMES.index(row.label) for row in rows])
    y_pred = np.where(rng.random(number) < right, y_true, (y_true + 1) % 3)
    scores = 4.0 * np.eye(3)[y_pred]
    folds = np.arange(number) // 3 % 3
    return CandidateResult(
        *(Candidate(name=name, kind=kind), rows, y_true, folds, scores, Calibration(), DecisionRule(), y_pred),
        real=np.full(number, real),
        held_out=np.full(number, True),
    )


def test_no_article_stands_in_two_folds(tmp_path):
    rows = examples(60)
    folds = make_folds(rows, [], config(tmp_path))
    groups = np.array([row.group for row in rows])
    assert all(len(set(folds[groups == group])) == 1 for group in groups)
    assert set(folds) == {0, 1, 2}


def test_with_a_validation_part_the_train_part_is_never_scored(tmp_path):
    folds = make_folds(examples(6), examples(3, split="validation"), config(tmp_path))
    assert folds.tolist() == [ALWAYS] * 6 + [0] * 3


def test_a_class_in_too_few_articles_is_named(tmp_path):
    rows = [row for row in examples(60) if row.label != "against" or row.article_id == "train0"]
    error = refused(check_classes, rows, config(tmp_path))
    assert error.what.startswith("'against' has examples in 1 articles") and error.expected.startswith("at least 3,")


def test_a_fold_is_scored_by_a_fit_that_has_not_seen_it(tmp_path):
    candidate = Candidate(name="majority", kind="majority")
    rows = [replace(row, label="for" if i < 6 else "against") for i, row in enumerate(examples(12))]
    found = cross_validate(candidate, rows, np.array([0] * 6 + [1] * 6), config(tmp_path), silent)
    # Each fold holds one label and knows the other alone.
    assert [NAMES[best] for best in found.scores.argmax(1)] == ["against"] * 6 + ["for"] * 6


def test_a_candidate_whose_inputs_did_not_change_is_read_from_the_cache(tmp_path):
    candidate = Candidate(name="tfidf", kind="tfidf", options={"min_df": 1})
    rows = examples(30)
    folds = make_folds(rows, [], config(tmp_path))
    first = cross_validate(candidate, rows, folds, config(tmp_path), silent)
    told = []
    again = cross_validate(candidate, rows, folds, config(tmp_path), lambda share, words: told.append(words))
    assert not told
    assert np.array_equal(first.scores, again.scores)


@pytest.mark.parametrize("change", ["option", "text", "label", "random_state"])
def test_a_candidate_whose_inputs_changed_is_scored_anew(tmp_path, change):
    candidate = Candidate(name="tfidf", kind="tfidf", options={"min_df": 1})
    rows, settings = examples(30), config(tmp_path)
    folds = make_folds(rows, [], settings)
    cross_validate(candidate, rows, folds, settings, silent)
    if change == "option":
        candidate = Candidate(name="tfidf", kind="tfidf", options={"min_df": 1, "C": 9})
    elif change == "random_state":
        settings = settings.model_copy(update={"random_state": 7})
    elif change == "text":
        rows[0] = Example(**{**rows[0].__dict__, "text": "less tea"})
    else:
        rows[0] = Example(**{**rows[0].__dict__, "label": "neither"})
    told = []
    cross_validate(candidate, rows, folds, settings, lambda share, words: told.append(words))
    assert told


def test_the_better_candidate_is_selected_when_the_interval_says_so(tmp_path):
    results = [result("simple", 0.4), result("rich", 0.95, random_state=1)]
    selected, reason = select(results, config(tmp_path))
    assert selected.candidate.name == "rich"
    assert "highest macro-F1 on 120 rows of real text" in reason


def test_a_tie_goes_to_the_simpler_candidate(tmp_path):
    results = [result("simple", 0.7, number=30), result("rich", 0.8, number=30, random_state=1)]
    selected, reason = select(results, config(tmp_path))
    assert selected.candidate.name == "simple"
    assert "holds zero" in reason


def test_a_config_may_ask_for_the_highest_even_on_a_tie(tmp_path):
    results = [result("simple", 0.80), result("rich", 0.84, random_state=1)]
    assert select(results, config(tmp_path, prefer_simple=False))[0].candidate.name == "rich"


def test_a_config_may_choose_by_the_positive_labels_alone(tmp_path):
    """One candidate is wrong on one label, the other on another: macro-F1 ties them, the positive label does not."""
    right, wrong = result("for", 1.0), result("neither", 1.0)
    right.y_pred[right.y_true == 2] = 1
    wrong.y_pred[wrong.y_true == 0] = 1
    settings = config(tmp_path, prefer_simple=False)
    chosen = settings.selection.model_copy(update={"metric": "positive_f1"})
    settings = settings.model_copy(update={"positive": ("for",), "selection": chosen})
    selected, reason = select([wrong, right], settings)
    assert selected.candidate.name == "for" and "for has the highest positive F1 on 120 rows" in reason
    assert (selected.y_pred[selected.y_true == 0] == 0).all()


@pytest.mark.parametrize(
    ("label", "words"),
    [("for", "only 'for' occurs in the train part"), ("nothing", "there is no row in the train part")],
)
def test_one_class_alone_and_no_row_at_all_are_named(tmp_path, label, words):
    error = refused(check_classes, [row for row in examples(60) if row.label == label], config(tmp_path))
    assert error.where == "labels" and error.what.startswith(words) and error.expected == "all of for, against, neither"


def test_a_validation_part_of_too_few_articles_is_named(tmp_path):
    error = refused(check_validation, examples(6, split="validation"), config(tmp_path))
    assert error.what == "the validation part holds 2 articles" and error.expected.startswith("at least 3,")
    check_validation(examples(9, split="validation"), config(tmp_path))
    check_validation([], config(tmp_path))


def test_invented_text_cannot_unseat_the_pretrained_model(tmp_path):
    results = [result("small", 0.5, kind="pretrained", real=False), result("rich", 1.0, real=False)]
    selected, reason = select(results, config(tmp_path))
    assert selected.candidate.kind == "pretrained"
    assert "0 rows of real text are too few" in reason


def test_without_a_pretrained_model_invented_text_has_to_do(tmp_path):
    results = [result("simple", 0.4, real=False), result("rich", 1.0, real=False)]
    assert select(results, config(tmp_path))[0].candidate.name == "rich"


def test_an_ensemble_of_members_that_err_apart_beats_each(tmp_path):
    members = [result(f"m{i}", 0.75, number=600, random_state=i) for i in range(3)]
    candidate = Candidate(name="all", kind="ensemble", options={"members": ["m0", "m1", "m2"]})
    found = combine(candidate, members, config(tmp_path))
    rows = found.real
    assert found.macro_f1(rows, 100).value > max(m.macro_f1(rows, 100).value for m in members)


def test_an_ensemble_is_refitted_from_its_members(tmp_path):
    settings, rows = config(tmp_path), examples(60)
    folds = make_folds(rows, [], settings)
    members = [Candidate(name=f"c{c}", kind="tfidf", options={"C": c, "min_df": 1}) for c in (0.1, 1.0)]
    results = [cross_validate(member, rows, folds, settings, silent) for member in members]
    both = combine(Candidate(name="both", kind="ensemble", options={"members": ["c0.1", "c1.0"]}), results, settings)
    classifier = refit(both, rows, settings, silent)
    assert classifier.decision_function(["no more tea 5"]).argmax() == NAMES.index("against")


@pytest.mark.parametrize(
    ("kind", "options", "what", "expected"),
    [
        ("ensemble", {"members": ["majority"]}, "option `members`", "options of ensemble: "),
        ("ensemble", {"members": ["majority", "oracle"]}, "refers to oracle", "candidates before it: majority"),
        ("ensemble", {"members": []}, "option `members`", "options of ensemble: "),
        ("ensemble", {}, "option `members`", "options of ensemble: "),
        ("tfidf", {"speed": 9}, "option `speed`", "options of tfidf: "),
    ],
)
def test_what_a_candidate_cannot_be_is_found_before_any_work(kind, options, what, expected):
    candidates = [Candidate(name="majority", kind="majority"), Candidate(name="soup", kind=kind, options=options)]
    error = refused(check_candidates, candidates)
    assert error.where == "candidate 'soup'" and error.what.startswith(what) and error.expected.startswith(expected)


def test_a_validation_part_calibrates_without_a_warning(tmp_path):
    """Its one fold is divided by article: pytest turns the warning of an empty rest into an error."""
    train, validation = examples(30), examples(60, split="validation")
    settings = config(tmp_path)
    candidate = Candidate(name="tfidf", kind="tfidf", options={"min_df": 1})
    rows = [*train, *validation]
    found = cross_validate(candidate, rows, make_folds(train, validation, settings), settings, silent)
    assert len(found.examples) == 60
    assert np.isfinite(found.calibration.temperature)


@pytest.mark.parametrize("articles", [1, 2])
def test_real_text_that_lies_in_one_fold_calibrates_all_the_same(tmp_path, articles):
    """One fold is no division: pytest turns the warning of an empty rest into an error."""
    rows = [replace(row, origin="news" if i < 30 else "fairy tale") for i, row in enumerate(examples(90))]
    rows[:30] = [replace(row, group=f"news {i % articles}") for i, row in enumerate(rows[:30])]
    candidate = Candidate(name="tfidf", kind="tfidf", options={"min_df": 1})
    found = cross_validate(candidate, rows, np.array([0] * 30 + [1] * 60), config(tmp_path), silent)
    assert found.real.sum() == 30 and np.isfinite(found.calibration.temperature)


@pytest.mark.parametrize("text", ["for: [", "for: ['more (tea']", "- tea", "for: 7"])
def test_a_broken_lexicon_is_one_line(tmp_path, text):
    lexicon = tmp_path / "lexicon.yaml"
    lexicon.write_text(text)
    candidate = Candidate(name="keywords", kind="keywords", options={"lexicon": str(lexicon)})
    error = refused(create(candidate).fit, examples(6), NAMES, silent)
    assert error.where == str(lexicon) and error.what.startswith(("is no lexicon", "invalid YAML"))


# Rows that were chosen because a model was in doubt


def some_chosen(number, chosen):
    return [replace(row, sampling="margin" if i < chosen else "random") for i, row in enumerate(examples(number))]


def test_calibration_is_fitted_on_rows_that_no_doubt_has_chosen(tmp_path):
    rows = [replace(row, label="neither") if row.sampling == "margin" else row for row in some_chosen(240, 120)]
    settings = config(tmp_path, Candidate(name="words", kind="tfidf", options={"min_df": 1}))
    found = cross_validate(settings.candidates[0], rows, make_folds(rows, (), settings), settings, silent)
    blind = np.arange(240) >= 120
    fits = [fit_calibration(found.scores[r], found.y_true[r], found.folds[r]) for r in (blind, np.ones(240, bool))]
    assert found.calibration == fits[0] != fits[1]


@pytest.mark.parametrize(("chosen", "left"), [(0, 240), (140, 100), (141, 240)])
def test_where_too_few_are_blind_all_count(chosen, left):
    rows = some_chosen(240, chosen)
    assert exclude_active_samples(rows, np.ones(240, bool)).sum() == left


def test_only_rows_that_are_asked_for_count():
    kept = np.arange(240) >= 30
    assert (exclude_active_samples(some_chosen(240, 60), kept) == (np.arange(240) >= 60)).all()
