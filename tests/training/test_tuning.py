"""Studies on the small project: what they write, how they go on, what they refuse."""

import os
import shutil
import subprocess
import sys
from contextlib import chdir
from itertools import accumulate
from pathlib import Path
from types import SimpleNamespace

import mlflow
import pytest
import yaml
from conftest import ROOT, write_project
from refusals import refused

from pipeline import tracking
from pipeline.cli.main import main
from pipeline.config import read_config
from pipeline.progress import on_epoch
from pipeline.scoring.bootstrap import Interval
from pipeline.training import train as training
from pipeline.training.rows import is_real, make_folds
from pipeline.training.tuning import course, trials, tune
from pipeline.training.tuning.space import Values, read_space
from pipeline.training.tuning.study import Study, open_studies

CONFIG = """\
label_names: [pro-sanctions, pro-dialogue, neutral]
random_state: 13
selection: {folds: 3, resamples: 100, prefer_simple: false}
candidates:
  - kind: keywords
    lexicon: configs/lexicon.yaml
  - name: soup
    kind: tfidf
    min_df: 1
    C: 0.0001
  - kind: ensemble
    members: [keywords, soup]
"""
SPACE = """\
config: configs/kitchen.yaml
trials: 4
candidates:
  soup:
    C: {low: 0.01, high: 10, log: true}
    word_ngrams: {choices: [[1, 1], [1, 2]]}
"""
TUNED = Path("configs/tuned.yaml")
MANY = 4

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::FutureWarning:mlflow", "ignore::DeprecationWarning"),
]


def silent(*told):
    pass


def write(space=SPACE, config=CONFIG):
    Path("configs/tune").mkdir(exist_ok=True)
    Path("configs/kitchen.yaml").write_text(config)
    Path("configs/tune/soup.yaml").write_text(space)


def cook(on_result=silent, **options):
    return tune(read_space(Path("configs/tune/soup.yaml")), TUNED, silent, on_result, **options)


@pytest.fixture
def kitchen(project, tables, monkeypatch):
    """The small project with its own store, and something to tune."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    shutil.copy(tables, project)
    write()
    return project


@pytest.fixture(scope="module")
def done(tmp_path_factory, tables):
    """A finished study: where it lies, and its outcome."""
    folder = tmp_path_factory.mktemp("done")
    write_project(folder)
    shutil.copy(tables, folder)
    with pytest.MonkeyPatch.context() as patch, chdir(folder):
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        write()
        return folder, cook()


@pytest.fixture
def again(done, tmp_path, monkeypatch):
    """A copy of the finished study, to go on with."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    shutil.copytree(done[0], tmp_path / "again")
    monkeypatch.chdir(tmp_path / "again")
    return done[1]


def runs(folder=None):
    """The parent runs, and the runs inside them by name."""
    store = f"sqlite:///{folder / 'mlflow.db'}" if folder else tracking.tracking_uri()
    client = mlflow.MlflowClient(store)
    found = client.search_runs([client.get_experiment_by_name("stance").experiment_id])
    parents = [run for run in found if "mlflow.parentRunId" not in run.data.tags]
    return parents, {run.info.run_name: run for run in found if run not in parents}, client


def options(outcome):
    return [trial.options for trial in outcome.tuned[0].trials]


def refusal():
    return refused(cook)


# What comes out


def test_the_written_config_trains_to_the_score_that_it_claims(done):
    folder, outcome = done
    (tuned,) = outcome.tuned
    with chdir(folder):
        config = read_config(TUNED)
        announced = {}
        training.train(config, silent, lambda result: announced.update({result.candidate.name: result}))
    assert config.candidates[1].options == {"min_df": 1} | tuned.best[0].options
    soup = announced["soup"]
    assert soup.macro_f1(soup.real, 100) == tuned.best[0].macro_f1
    assert tuned.best[0].value > tuned.before.value


def test_the_written_config_changes_nothing_but_the_options(done):
    with chdir(done[0]):
        tuned, before = read_config(TUNED), read_config("configs/kitchen.yaml")
    assert tuned.candidates[0::2] == before.candidates[0::2]
    kept = {"name", "candidates"}
    assert (tuned.name, tuned.model_dump(exclude=kept)) == ("tuned", before.model_dump(exclude=kept))


def test_the_written_config_says_where_it_comes_from(done):
    folder, outcome = done
    header = "".join(line for line in (folder / TUNED).read_text().splitlines(True) if line.startswith("#"))
    best = outcome.tuned[0].best[0]
    assert header.startswith("# Written by `stance tune` from configs/tune/soup.yaml for configs/kitchen.yaml.\n")
    assert f".cache/tune/soup.db, MLflow run {outcome.run_id}, data " in header
    assert f"soup: trial {best.number} {best.macro_f1}, before {outcome.tuned[0].before}; " in header


def test_trials_lie_within_the_space(done):
    for found in options(done[1]):
        assert 0.01 <= found["C"] <= 10 and found["word_ngrams"] in ([1, 1], [1, 2])


def test_each_trial_is_a_child_run_of_one_parent(done):
    folder, outcome = done
    parents, children, client = runs(folder)
    (parent,) = [run for run in parents if run.info.run_name == "tune soup"]
    inside = {name: run for name, run in children.items() if run.data.tags["mlflow.parentRunId"] == parent.info.run_id}
    assert (parent.info.run_id, parent.info.status) == (outcome.run_id, "FINISHED")
    assert set(inside) == {f"soup {number}" for number in range(1, MANY + 1)}
    for trial in outcome.tuned[0].trials:
        run = inside[f"soup {trial.number}"]
        assert (run.data.params["C"], run.data.metrics["macro_f1"]) == (str(trial.options["C"]), round(trial.value, 4))
        assert run.data.params["balanced"] == "True"  # the options that are left to their defaults too
        steps = client.get_metric_history(run.info.run_id, "running_macro_f1")
        assert [step.step for step in steps] == [1, 2, 3] and steps[-1].value == round(trial.value, 4)


def test_the_parent_draws_the_best_so_far_and_tells_the_result(done):
    folder, outcome = done
    parents, _, client = runs(folder)
    (parent,) = [run for run in parents if run.info.run_id == outcome.run_id]
    drawn = client.get_metric_history(outcome.run_id, "soup.best_macro_f1")
    best = list(accumulate((round(trial.value, 4) for trial in outcome.tuned[0].trials), max))
    assert [(point.step, point.value) for point in drawn] == list(enumerate(best, 1))
    assert f"- soup: trial {outcome.tuned[0].best[0].number} " in parent.data.tags["mlflow.note.content"]


def test_no_row_of_the_test_part_reaches_a_trial(kitchen, monkeypatch):
    seen = set()
    real = course.cross_validate
    monkeypatch.setattr(
        course, "cross_validate", lambda *given: seen.update(row.split for row in given[1]) or real(*given)
    )
    cook(trials=1)
    parents, _, _ = runs()
    assert seen == {"train"}
    assert [entry.dataset.name for entry in parents[0].inputs.dataset_inputs] == ["kitchen-train"]


def test_options_stay_where_no_trial_is_better(kitchen):
    as_they_were = SPACE.replace("C: {low: 0.01, high: 10, log: true}", "C: {choices: [0.0001]}")
    write(as_they_were.replace("[[1, 1], [1, 2]]", "[[1, 3]]"))
    outcome = cook(trials=2)
    assert outcome.tuned[0].verdict.startswith("no trial scores higher")
    assert read_config(TUNED).candidates == read_config("configs/kitchen.yaml").candidates


def test_what_cannot_be_fitted_is_a_failed_trial_and_the_study_goes_on(kitchen):
    write(SPACE.replace("C: {low: 0.01, high: 10, log: true}", "min_df: {choices: [1, 99]}"))
    outcome = cook(trials=6)
    failed = [trial for trial in outcome.tuned[0].trials if trial.options["min_df"] == 99]
    assert failed and {trial.ended.partition(":")[0] for trial in failed} == {"failed"}
    assert len(failed) + len(outcome.tuned[0].best) == 6
    _, children, _ = runs()
    assert {children[f"soup {trial.number}"].info.status for trial in failed} == {"FAILED"}


def test_a_trial_that_falls_behind_is_stopped(kitchen):
    (kitchen / "space.yaml").write_text(
        "config: configs/soup.yaml\ncandidates: {tfidf: {C: {low: 1.0e-6, high: 1, log: true}}}"
    )
    (kitchen / "configs" / "soup.yaml").write_text(
        "label_names: [pro-sanctions, pro-dialogue, neutral]\n"
        f"data: {{seeds: {ROOT}/seeds, labels: {ROOT}/labels, limit: 20}}\n"
        "selection: {folds: 3, resamples: 100}\n"
        "candidates: [{kind: tfidf, word_ngrams: [1, 1], character_ngrams: [3, 3]}]"
    )
    (tuned,) = tune(read_space(Path("space.yaml")), TUNED, silent, silent, trials=12).tuned
    stopped = [trial for trial in tuned.trials if trial.ended]
    assert {trial.ended.partition(" folds")[0] for trial in stopped} <= {"stopped after 1 of 3", "stopped after 2 of 3"}
    assert stopped and min(trial.number for trial in stopped) > 5
    # The weakest of what was finished is no stopped one: those have no score to be chosen by.
    assert len(tuned.best) == 12 - len(stopped)
    _, children, client = runs()
    laps = client.get_metric_history(children[f"tfidf {stopped[0].number}"].info.run_id, "running_macro_f1")
    assert len(laps) < 3 and children[f"tfidf {stopped[0].number}"].data.params["ended"] == stopped[0].ended


class Epochs:
    """A course of two folds whose fits tell what they score after each of their epochs."""

    count = 2

    def run(self, candidate, on_progress):
        for scores in ((0.5, 0.6), (0.4, 0.3, 0.2)):
            for score in scores:
                on_epoch.get()(score)
            yield scores

    def score(self, scores):
        return Interval(scores[-1], 0.0, 1.0)


@pytest.mark.parametrize(
    ("fatal", "words"),
    [
        (0.6, "epoch 2 of fold 1 of 2, at 0.600"),
        (0.3, "epoch 2 of fold 2 of 2, at 0.300"),
        ("fold", "1 of 2 folds, at 0.600"),
    ],
)
def test_a_fit_that_falls_behind_is_stopped_by_epoch_or_fold(fatal, words):
    steps, told = [], []
    trial = SimpleNamespace(
        report=lambda score, step: steps.append((step, score)),
        should_prune=lambda: fatal == (steps[-1][1] if steps[-1][0] % trials.FOLD else "fold"),
    )
    child = SimpleNamespace(metrics=lambda values, step=0: told.append((step, *values)))
    with pytest.raises(trials._Stopped) as stopped:
        trials._run(None, trial, Epochs(), silent, child)
    assert str(stopped.value) == words
    assert len({step for step, _ in steps}) == len(steps) and steps[0] == (1, 0.5)
    assert told[0] == (1, "epoch_macro_f1")
    on_epoch.get()(0.0)  # and later fits tell nobody
    assert steps[-1][1] != 0.0


def test_no_trial_begins_when_the_minutes_are_over_and_later_goes_on(kitchen):
    first = cook(minutes=0)
    assert len(first.tuned[0].trials) == 1 and TUNED.exists()
    assert len(cook(trials=2).tuned[0].trials) == 2


def test_trials_are_scored_on_real_text_where_there_is_enough(repository, tmp_path):
    config, rows = read_config(ROOT / "configs/smoke.yaml"), repository.part("train")
    enough = config.selection.model_copy(update={"real_rows": int(is_real(rows, config).sum())})
    config = config.model_copy(update={"cache": tmp_path, "selection": enough})
    laid_out = course.Course(config, rows, make_folds(rows, [], config))
    *_, result = laid_out.run(
        config.candidates[1].model_copy(update={"options": {"lexicon": ROOT / "configs/lexicon.yaml"}}), silent
    )
    assert 0 < result.real.sum() < len(rows)
    assert laid_out.score(result) == result.macro_f1(result.real, 200) != result.macro_f1(~result.real, 200)


# Going on

KILLED = """
import os, signal, sys
from pipeline.training.tuning import course
real, calls = course.cross_validate, []

def cross_validate(*given):
    calls.append(1)
    if len(calls) == {call}:
        os.kill(os.getpid(), signal.{signal})
    return real(*given)

course.cross_validate = cross_validate
sys.argv = ["stance", "tune", "configs/tune/soup.yaml"]
from pipeline.cli.main import main
main()
"""
# Three folds of the candidate as it is, three of each trial: the second fold of the third trial.
MIDST = 3 + 3 + 3 + 2


def stopped_by(name, call=MIDST):
    """Run the command in a process of its own that gets a signal in mid-trial."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "MLFLOW_TRACKING_URI": ""}
    return subprocess.run(
        [sys.executable, "-c", KILLED.format(call=call, signal=name)],
        capture_output=True,
        text=True,
        timeout=120,
        env=environment,
    )


@pytest.mark.parametrize(("name", "code"), [("SIGKILL", -9), ("SIGINT", 130)])
def test_a_study_that_was_stopped_goes_on_in_the_same_run(kitchen, done, name, code):
    process = stopped_by(name)
    assert process.returncode == code, process.stderr
    if code > 0:
        assert "stance: stopped; the same command takes up what was finished" in process.stderr
    assert not TUNED.exists()
    (parent,), before, _ = runs()
    assert set(before) == {"soup 1", "soup 2", "soup 3"}
    told = []
    outcome = cook(told.append)
    assert (outcome.resumed, [trial.number for trial in told]) == (2, [3, 4])
    (after,), children, _ = runs()
    assert after.info.run_id == parent.info.run_id == outcome.run_id
    assert {name: run.info.run_id for name, run in children.items()}.items() >= {
        name: run.info.run_id for name, run in before.items()
    }.items()
    assert {run.info.status for run in [after, *children.values()]} == {"FINISHED"} and len(children) == MANY
    # And it comes to what an uninterrupted study comes to.
    assert outcome.tuned == done[1].tuned


def test_a_study_killed_again_and_again_comes_to_the_same_end(kitchen, done):
    for call in (5, 8):
        assert stopped_by("SIGKILL", call).returncode == -9
    outcome = cook()
    assert outcome.tuned == done[1].tuned and len(runs()[1]) == MANY


def test_a_finished_study_runs_no_trial_and_writes_the_same_bytes(again):
    before, told = TUNED.read_bytes(), []
    assert cook(told.append).resumed == MANY
    assert not told and TUNED.read_bytes() == before


def test_more_trials_go_on_after_those_that_are_there(again):
    more = cook(trials=MANY + 1)
    assert options(more)[:MANY] == options(again) and len(options(more)) == MANY + 1
    assert more.run_id == again.run_id


def test_restart_throws_the_trials_away(again):
    anew = cook(trials=1, restart=True)
    assert (anew.resumed, len(options(anew))) == (0, 1) and anew.run_id != again.run_id


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda: write(SPACE.replace("high: 10", "high: 20")), "with another search space"),
        (lambda: write(config=CONFIG.replace("C: 0.0001", "C: 0.1")), "with another search space"),
        (lambda: write(config=CONFIG.replace("folds: 3", "folds: 2")), "with another config"),
        (lambda: write(config=CONFIG.replace("state: 13", "state: 7")), "with another config"),
        (lambda: relabel(), "on other data, or it has changed since"),
    ],
)
def test_a_study_of_something_else_is_refused(again, spoil, words):
    spoil()
    error = refusal()
    assert (error.where, error.what) == (".cache/tune/soup.db", f"a study was begun {words}")
    assert error.then == "what it was begun with continues it, --restart throws it away"


def relabel():
    file = Path("labels/letters.jsonl")
    file.write_text(file.read_text().replace("pro-sanctions", "neutral", 2))


def test_another_version_does_not_go_on(again, monkeypatch):
    monkeypatch.setattr("pipeline.data.digest.version", lambda name: "0")
    assert "by another version of this program or its libraries" in refusal().what


def test_another_store_is_one_line(again, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{Path('other.db').absolute()}")
    assert refusal().then == "it began in another store; set MLFLOW_TRACKING_URI to log there"


def test_one_process_at_a_time(kitchen):
    file = Path(".cache/tune/soup.db")
    with open_studies(file, {}):
        error = refusal()
    assert (error.where, error.what) == (str(file), "another process is tuning it")
    assert error.then == "wait for it, or stop it"


def test_a_broken_study_is_one_line_and_can_be_thrown_away(kitchen):
    file = Path(".cache/tune/soup.db")
    file.parent.mkdir(parents=True)
    file.write_text("kimchi " * 999)
    error = refusal()
    assert (error.where, error.what, error.then) == (str(file), "is no study", "--restart throws it away")
    assert len(cook(trials=1, restart=True).tuned[0].trials) == 1


# What is refused before any trial


@pytest.mark.parametrize(
    ("old", "new", "words", "expected"),
    [
        ("  soup:", "  bisque:", "configs/kitchen.yaml has no candidate 'bisque'", "keywords, soup, ensemble"),
        (
            "  soup:",
            "  ensemble:",
            "candidate 'ensemble': is built of others and has nothing to tune",
            "tune keywords, soup",
        ),
        ("    C:", "    salt:", "candidate 'soup': unknown option `salt`", "options of tfidf: C, word_ngrams, "),
        ("    C:", "    random_state:", "candidate 'soup': unknown option `random_state`", "options of tfidf: C,"),
        ("low: 0.01", "low: 11", "`candidates.soup.C`: low 11 is not below high 10", "see configs/tune/default.yaml"),
        ("low: 0.01", "low: 10", "`candidates.soup.C`: low 10 is not below high 10", ""),
        ("low: 0.01", "low: 0", "`candidates.soup.C`: low 0 is not above 0, which `log` needs", ""),
        ("low: 0.01", "low: much", "`candidates.soup.C.low`: Input should be a valid number", ""),
        ("low: 0.01", "low: .nan", "`candidates.soup.C.low`: Input should be a finite number", ""),
        ("low: 0.01, ", "", "`candidates.soup.C`: needs either `low` and `high`, or `choices`", ""),
        ("low: 0.01", "lo: 0.01", "unknown key `candidates.soup.C.lo`", "one of choices, high, log, low"),
        ("{low: 0.01, high: 10, log: true}", "{choices: []}", "`candidates.soup.C`: needs either `low` and", ""),
        ("{low: 0.01, high: 10, log: true}", "{choices: [1], low: 1}", "`candidates.soup.C`: needs either", ""),
        ("{low: 0.01, high: 10, log: true}", "{choices: [hot]}", "candidate 'soup': option `C`: Input should be a", ""),
        ("{low: 0.01, high: 10, log: true}", "0.3", "`candidates.soup.C`: Input should be a valid dictionary", ""),
        ("    C:", "    min_df:", "candidate 'soup': option `min_df`: Input should be a valid integer", ""),
        ("    C:", "    balanced:", "candidate 'soup': option `balanced` is no number and has no range", "`choi"),
        ("trials: 4", "trials: 0", "`trials`: Input should be greater than or equal to 1", ""),
        ("trials: 4", "trails: 4", "unknown key `trails`", "one of candidates, config, trials"),
        ("config: configs/kitchen.yaml", "", "`config`: Field required", ""),
        (SPACE.partition("candidates:")[2], " {}", "`candidates`: Dictionary should have at least 1 item", ""),
        (SPACE.partition("  soup:")[2], " {}", "candidate 'soup': has no option to try", "options of tfidf: C"),
        (SPACE, "soup", "is no mapping", "keys such as `candidates:`"),
    ],
)
def test_a_wrong_space_is_one_line(kitchen, old, new, words, expected):
    assert old in SPACE
    write(SPACE.replace(old, new, 1))
    error = refusal()
    assert f"{error.where}: {error.what}".startswith(f"configs/tune/soup.yaml: {words}")
    assert (error.expected or error.then).startswith(expected)


def test_a_missing_space_names_those_that_are_there(kitchen):
    assert refused(read_space, Path("configs/tune/broth.yaml")).then == "there are: configs/tune/soup.yaml"


def test_a_config_that_is_missing_is_named(kitchen):
    Path("configs/kitchen.yaml").unlink()
    error = refusal()
    assert error.where == "configs/kitchen.yaml" and error.what.startswith("No such file or directory")


def test_a_pretrained_model_is_not_tuned_on_text_that_it_knows(kitchen):
    write(
        SPACE.replace("word_ngrams", "max_length").replace("[1, 1], [1, 2]", "64").replace("C:", "strength:"),
        CONFIG.replace("tfidf\n    min_df: 1\n    C: 0.0001", "adapted"),
    )
    error = refusal()
    assert error.what.endswith("too few to tune on") and error.expected == "200 (selection.real_rows)"


def test_a_class_with_too_few_examples_stops_before_any_study(kitchen):
    write(config=CONFIG.replace("folds: 3", "folds: 9"))
    assert refusal().expected.startswith("at least 9,")
    assert not Path(".cache/tune").exists()


def test_what_a_person_wrote_is_not_overwritten(kitchen):
    TUNED.write_text("# My own.\n")
    error = refusal()
    assert error.what == "is there, and `stance tune` did not write it"
    assert (error.where, error.then) == (str(TUNED), "choose another --output")
    assert TUNED.read_text() == "# My own.\n"


def test_the_config_that_is_tuned_is_not_overwritten(kitchen):
    TUNED.write_text("# Written by `stance tune`\n" + CONFIG)
    write(SPACE.replace("kitchen", "tuned"))
    error = refusal()
    assert error.where == str(TUNED) and "is the config that is tuned" in error.what


def test_a_place_that_cannot_be_written_is_one_line(kitchen):
    Path("soup").write_text("")
    error = refused(tune, read_space(Path("configs/tune/soup.yaml")), Path("soup/tuned.yaml"), silent, silent)
    assert (error.where, error.then) == ("soup/tuned.yaml", "choose another --output")


# What is tried


def test_options_that_are_whole_numbers_stay_whole(kitchen):
    write(SPACE.replace("word_ngrams: {choices: [[1, 1], [1, 2]]}", "min_df: {low: 1, high: 3}"))
    (search,) = read_space(Path("configs/tune/soup.yaml")).searches
    found = search.decode({"C": 1 / 3, "min_df": 2})
    assert found == {"C": 0.3333, "min_df": 2} and type(found["min_df"]) is int


def test_a_number_in_the_form_1e_3_is_a_number():
    assert Values(**yaml.safe_load("{low: 1e-3, high: 1}")).low == 0.001


@pytest.mark.parametrize("path", sorted((ROOT / "configs" / "tune").glob("*.yaml")), ids=lambda path: path.stem)
def test_the_spaces_of_the_repository_are_right(path):
    with chdir(ROOT):
        assert read_space(path).searches


@pytest.mark.parametrize("number", [9, 12])
def test_the_option_that_matters_is_named_once_there_are_ten_trials(kitchen, number):
    (search,) = read_space(Path("configs/tune/soup.yaml")).searches
    with open_studies(Path("soup.db"), {}) as (storage, _):
        study = Study(storage, search, 13, {})
        for _ in range(number):
            trial, found, _ = study.ask()
            study.tell(trial, Interval(found.options["C"], 0.0, 1.0))
        shares = study.importances()
    assert (shares == {}) if number < 10 else (next(iter(shares)) == "C" and sum(shares.values()) == pytest.approx(1))


# The command line


def test_the_command_shows_the_best_trials_and_what_to_do_next(kitchen, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["stance", "tune", "configs/tune/soup.yaml", "-o", "a.yaml", "--trials", "2"])
    with pytest.raises(SystemExit) as stop:
        main()
    out, err = capsys.readouterr()
    assert stop.value.code == 0
    assert out.splitlines()[2].split() == ["trial", "macro-F1", "95", "%", "interval", "C", "word_ngrams"]
    assert "as it was" in out and "soup: " in out and "stance train --config a.yaml" in out
    assert "soup trial 2 of 2: macro-F1 0." in err and Path("a.yaml").exists()
