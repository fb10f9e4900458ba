"""Labelled tables as the whole data source: files, data sets, columns, parts, and what is wrong with them."""

import csv
import json
import zipfile
from collections import Counter

import pyarrow
import pytest
from pyarrow import parquet

from pipeline.config import Config, Data
from pipeline.data.dataset import load_dataset
from pipeline.data.labelled import read_labelled
from pipeline.data.seeds import extend_index
from pipeline.errors import InputError

NAMES = ("for", "against", "neither")
WORDS = {"for": "more tea please", "against": "no more tea", "neither": "the kettle is blue"}


def rows(number=60, **fields):
    """Rows whose words tell the label; each text is there once."""
    return [
        {"text": f"{WORDS[label]}, said guest {n} of table {n * 7}", "label": label} | fields
        for n, label in ((n, NAMES[n % 3]) for n in range(number))
    ]


@pytest.fixture
def table(tmp_path):
    """Write rows as a JSON lines file."""

    def written(content, name="tea.jsonl"):
        path = tmp_path / name
        path.write_text("".join(json.dumps(row) + "\n" for row in content), encoding="utf-8")
        return path

    return written


def config(path=None, enough=1, **data):
    return Config(
        name="tea",
        label_names=NAMES,
        candidates=({"kind": "majority"},),
        data=Data(table=path, **data),
        random_state=7,
        selection={"real_rows": enough},
    )


def load(path=None, **data):
    return load_dataset(config(path, **data)).examples


def refusal(function, *arguments, **options):
    with pytest.raises(InputError) as caught:
        function(*arguments, **options)
    return str(caught.value)


# Forms


def test_a_jsonl_is_the_whole_data(table):
    assert [e.label for e in load(table(rows(3, split="train")))] == list(NAMES)


def test_a_csv_is_the_whole_data(tmp_path):
    with (tmp_path / "tea.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, ["text", "label", "split"])
        writer.writeheader()
        writer.writerows(rows(3, split="train"))
    assert [e.split for e in load(tmp_path / "tea.csv")] == ["train"] * 3


def test_tables_in_an_archive_are_the_whole_data_and_what_is_no_table_is_named(tmp_path):
    for name in ("a.jsonl", "b.jsonl"):
        content = "".join(json.dumps(row | {"text": f"{name} {row['text']}"}) + "\n" for row in rows(30))
        with zipfile.ZipFile(tmp_path / "tea.zip", "a") as archive:
            archive.writestr(name, content)
    assert len(load(tmp_path / "tea.zip")) == 60
    with zipfile.ZipFile(tmp_path / "tea.zip", "a") as archive:
        archive.writestr("recipe.txt", "Boil.")
    assert refusal(load, tmp_path / "tea.zip").startswith(f"{tmp_path / 'tea.zip'}/recipe.txt: is no table; expected")
    (tmp_path / "no.zip").write_bytes(b"no zip")
    assert refusal(load, tmp_path / "no.zip") == f"{tmp_path / 'no.zip'}: is no archive (File is not a zip file)"


def test_a_parquet_is_the_whole_data(tmp_path):
    import pyarrow as pa
    from pyarrow import parquet

    parquet.write_table(pa.Table.from_pylist(rows(3, split="train")), tmp_path / "tea.parquet")
    assert [e.text for e in load(tmp_path / "tea.parquet")] == [row["text"] for row in rows(3)]


def test_columns_have_the_names_that_the_config_says(table):
    path = table([{"tweet": "Tea!", "stance": "for", "about": "tea", "part": "train"}])
    (found,) = load(path, columns={"text": "tweet", "label": "stance", "target": "about", "split": "part"})
    assert (found.text, found.label, found.target, found.split) == ("Tea!", "for", "tea", "train")


def test_a_label_may_be_a_number(table):
    (found,) = read_labelled(table([{"text": "Tea!", "label": 1}]), ("0", "1"))
    assert found.label == "1"


# A data set that the `datasets` library loads


@pytest.fixture
def hub(tmp_path):
    """A folder as the hub holds it: a subset for each target, labels as numbers with names."""
    import datasets

    features = datasets.Features({"text": datasets.Value("string"), "label": datasets.ClassLabel(names=list(NAMES))})
    folder = tmp_path / "tea_eval"
    card = ["---", "configs:"]
    for subset in ("stance_tea", "stance_milk"):
        card += [f"- config_name: {subset}", "  data_files:"]
        for split in ("train", "validation", "test"):
            own = [{"text": f"{split} {subset} {n} {'words ' * n}", "label": n % 3} for n in range(3)]
            file = folder / subset / f"{split}.parquet"
            file.parent.mkdir(parents=True, exist_ok=True)
            datasets.Dataset.from_list(own, features=features).to_parquet(file)
            card += [f"  - split: {split}", f"    path: {subset}/{split}.parquet"]
    (folder / "README.md").write_text("\n".join([*card, "---", ""]))
    return str(folder)


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")


def test_subsets_of_a_data_set_are_targets_and_its_splits_are_parts(hub):
    found = load(hub=hub, subsets={"tea": "stance_tea", "milk": "stance_milk"})
    assert Counter((e.target, e.split) for e in found) == {
        (target, split): 3 for target in ("tea", "milk") for split in ("train", "validation", "test")
    }
    assert [e.label for e in found[:3]] == list(NAMES)


def test_a_file_that_is_not_there_is_taken_from_the_hub(hub, tmp_path, table):
    settings = {"hub": hub, "subsets": {"tea": "stance_tea"}}
    assert len(load(tmp_path / "gone.jsonl", **settings)) == 9
    assert len(load(table(rows(3, split="train")), **settings)) == 3


def test_a_data_set_of_one_split_is_divided_here(tmp_path, table):
    folder = table(rows(), "folder.jsonl").rename(tmp_path / "train.jsonl").parent
    assert set(Counter(e.split for e in load(hub=str(folder)))) == {"train", "validation", "test"}


@pytest.mark.parametrize("parts", [1, 2])
@pytest.mark.parametrize("named", ["hub", "table"])
def test_a_data_set_that_was_saved_to_disk_is_read_with_its_parts(tmp_path, parts, named):
    import datasets

    folder, saved = tmp_path / "saved", datasets.Dataset.from_list(rows())
    (saved if parts == 1 else saved.train_test_split(0.5, seed=1)).save_to_disk(folder)
    expected = {"train", "validation", "test"} if parts == 1 else {"train", "test"}
    found = load(folder) if named == "table" else load(hub=str(folder))
    assert len(found) == 60 and {e.split for e in found} == expected


def test_a_folder_of_parquet_files_is_the_whole_data(tmp_path):
    import datasets

    (tmp_path / "tea").mkdir()
    for split in ("train", "test"):
        datasets.Dataset.from_list(rows()).to_parquet(tmp_path / "tea" / f"{split}.parquet")
    assert Counter(e.split for e in load(tmp_path / "tea")) == {"train": 60, "test": 60}


def test_a_data_set_that_cannot_be_loaded_is_one_line(tmp_path):
    message = refusal(load, hub=str(tmp_path / "nothing"))
    assert "nothing: cannot be loaded (" in message and "expected a data set of the hub or a folder" in message


def test_a_data_set_without_such_a_subset_is_one_line(hub):
    assert "cannot be loaded (" in refusal(load, hub=hub, subsets={"coffee": "stance_coffee"})


# Names of rows


def test_rows_without_an_id_are_named_by_what_they_say(table):
    first = [e.id for e in load(table(rows(6, split="train")))]
    second = [e.id for e in load(table(rows(6, split="train")[::-1]))]
    assert len(set(first)) == 6 and first == second[::-1]


def test_the_same_text_about_two_targets_has_two_names(table):
    found = load(table([{"text": "Tea!", "label": "for", "target": name, "split": "train"} for name in "ab"]))
    assert len({e.id for e in found}) == 2


def test_rows_that_say_the_same_have_names_of_their_own(table):
    found = load(table([{"text": "Tea!", "label": "for", "split": "train"}] * 3))
    assert len({e.id for e in found}) == 3


def test_rows_of_one_article_have_spans_side_by_side(table):
    found = load(table(rows(3, split="train", article="menu")))
    assert [(e.sentence_index, e.article_id) for e in found] == [(0, "menu"), (1, "menu"), (2, "menu")]
    assert all(later.start == earlier.end + 1 for earlier, later in zip(found, found[1:], strict=False))


# Parts


def test_a_split_column_is_kept(table):
    parts = [{"split": split} for split in ("train", "train", "validation", "test")]
    assert [e.split for e in load(table([row | part for row, part in zip(rows(4), parts, strict=True)]))] == [
        *("train", "train", "validation", "test")
    ]


def test_without_a_split_column_each_label_has_its_share_in_each_part(table):
    found = Counter((e.split, e.label) for e in load(table(rows(300)), test_share=0.2, validation_share=0.1))
    assert {key: count for key, count in found.items()} == {
        (split, label): size for split, size in (("train", 70), ("validation", 10), ("test", 20)) for label in NAMES
    }


@pytest.mark.parametrize(("number", "parts"), [(5, {"train", "test"}), (10, {"train", "validation", "test"})])
def test_a_validation_part_too_small_to_choose_by_is_not_made(table, number, parts):
    """A tenth of 60 rows is 6; the train part is cross-validated in its place."""
    found = load(table(rows(6 * number)), enough=6, validation_share=0.1)
    assert {e.split for e in found} == parts


def test_equal_texts_stay_together_however_many_they_are(table):
    many = [{"text": "No more tea!" if n % 2 else "no more TEA", "label": "against"} for n in range(60)]
    found = load(table([*rows(90), *many]))
    assert len({e.split for e in found if "tea" in e.text.lower() and "guest" not in e.text}) == 1


def test_equal_texts_of_two_parts_are_withheld_however_short_and_many(table):
    many = [{"text": "No more tea!", "label": "against", "split": part} for part in ["train"] * 50 + ["test"] * 50]
    dataset = load_dataset(config(table([*rows(6, split="train"), *many])))
    assert (len(dataset.part("train")), len(dataset.part("test"))) == (6, 50)


def test_equal_texts_with_two_labels_are_known(table):
    content = [{"text": "No more tea!", "label": "against"}, {"text": "no more tea", "label": "for"}, *rows(9)]
    (pair,) = load_dataset(config(table([row | {"id": str(n)} for n, row in enumerate(content)]))).contradictions
    assert [(row.article_id, row.label) for row in pair] == [("0", "against"), ("1", "for")]


def test_equal_texts_about_two_targets_may_have_two_labels(table):
    content = [{"text": "No more!", "label": name, "target": name} for name in ("for", "against")] * 3
    dataset = load_dataset(config(table([row | {"split": "train"} for row in content])))
    assert dataset.contradictions == ()


def test_each_target_has_its_share_in_each_part(table):
    content = [row | {"target": "ab"[n % 2]} for n, row in enumerate(rows(300))]
    found = Counter((e.split, e.target) for e in load(table(content), test_share=0.2, validation_share=0.1))
    assert all(abs(found["test", name] - 30) <= 1 and abs(found["validation", name] - 15) <= 1 for name in "ab")


def test_the_division_is_fixed_by_the_random_state(table):
    path = table(rows())
    settings = config(path)
    other = settings.model_copy(update={"random_state": 8})
    first, again, another = (load_dataset(c).examples for c in (settings, settings, other))
    assert first == again and first != another


def test_articles_and_near_duplicates_stay_together(table):
    story = "the kettle sang of green leaves until the guests of the seventh table fell asleep"
    content = [row | {"article": f"menu {n // 2}"} for n, row in enumerate(rows())]
    content += [{"text": f"{story} {n}", "label": "neither", "article": f"copy {n}"} for n in range(8)]
    found = load(table(content))
    parts = {e.article_id: {o.split for o in found if o.article_id == e.article_id} for e in found}
    assert all(len(own) == 1 for own in parts.values())
    assert len({e.split for e in found if e.article_id.startswith("copy")}) == 1


def test_no_validation_part_where_its_share_is_nothing(table):
    assert {e.split for e in load(table(rows()), validation_share=0)} == {"train", "test"}


def test_a_train_row_that_another_part_repeats_is_withheld(table):
    text = "the kettle sang of green leaves until noon"
    content = [*rows(6, split="train"), *({"text": text, "label": "for", "split": part} for part in ("train", "test"))]
    dataset = load_dataset(config(table(content)))
    assert (len(dataset.part("train")), len(dataset.part("test")), dataset.across) == (6, 1, 1)


def test_a_limit_takes_that_many_rows_of_each_part(table):
    assert Counter(e.split for e in load(table(rows(60)), limit=4)) == {"train": 4, "validation": 4, "test": 4}


def test_a_labelled_file_to_score_is_the_test_part_whatever_it_says(table):
    assert {e.split for e in read_labelled(table(rows(3, split="train")), NAMES)} == {"test"}


# What is wrong


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ({"text": " \n ", "label": "for"}, "no text; expected id, text, label"),
        ({"text": None, "label": "for"}, "no text; expected"),
        ({"text": float("nan"), "label": "for"}, "no text; expected"),
        ({"text": "NaN", "label": "for"}, "no text; expected"),
        ({"text": 7, "label": "for"}, "`text` is 7; expected a text"),
        ({"text": "Tea!", "label": None}, "no label; expected"),
        ({"text": "Tea!", "label": "hungry"}, "unknown label 'hungry'; expected for, against, neither"),
        ({"text": "Tea!", "label": "for", "target": "tea"}, "a target, though rows before it have none; expected all"),
        ({"text": "Tea!", "label": "for", "id": "x"}, "duplicate id 'x'; expected unique ids"),
        ({"text": "Tea \ud83d!", "label": "for"}, "holds half of a surrogate pair, which is no character"),
        ({"text": "Tea!", "label": "for", "source": "\ud83d"}, "holds half of a surrogate pair"),
    ],
)
def test_a_broken_row_is_named_by_file_and_line(table, row, why):
    path = table([{"text": "Milk!", "label": "for", "id": "x"}, row])
    assert refusal(load, path).startswith(f"{path}:2: {why}")


def test_a_row_without_the_target_that_others_have_is_named(table):
    path = table([{"text": "Milk!", "label": "for", "target": "tea"}, {"text": "Tea!", "label": "for"}])
    assert f"{path}:2: no target, though rows before it have one" in refusal(load, path)


def test_all_broken_rows_are_named_together(table):
    assert refusal(load, table([{"text": ""}, {"text": ""}])).count("no text, label") == 2


def test_a_column_that_the_config_names_must_be_there(table):
    message = refusal(load, table(rows(1)), columns={"text": "tweet"})
    assert "no column 'tweet'; expected text, label" in message


def test_a_part_of_another_name_is_refused(table):
    assert "split 'dev'; expected train, validation, test" in refusal(load, table(rows(2, split="dev")))


def test_a_row_without_a_part_among_rows_that_have_one_is_refused(table):
    content = [*rows(2, split="train"), {"text": "Milk!", "label": "for"}]
    assert refusal(load, table(content)).count("split ''; expected train") == 1


def test_a_target_that_is_not_in_the_train_part_is_refused(table):
    content = [*rows(3, split="train", target="tea"), {"text": "Milk!", "label": "for"} | {"split": "test"}]
    content[-1]["target"] = "milk"
    path = table(content)
    message = refusal(load, path)
    assert message.startswith(f"{path}: target 'milk' is in the test part and not in the train part; expected tea")


def test_numbers_of_a_table_are_read_without_its_decimals(tmp_path):
    content = {"id": [1.0, 2.0], "text": ["More tea.", "No tea."], "label": [0.0, 1.0]}
    parquet.write_table(pyarrow.table(content), tmp_path / "tea.parquet")
    first, second = read_labelled(tmp_path / "tea.parquet", ("0", "1"))
    assert (first.article_id, first.label, second.article_id, second.label) == ("1", "0", "2", "1")


def test_headers_and_dates_are_read_as_people_write_them(tmp_path):
    (tmp_path / "tea.csv").write_text("ID;Tweet;LABEL;Date\na;More tea.;for;28 February 2019\n")
    (row,) = read_labelled(tmp_path / "tea.csv", NAMES, {"text": "Tweet"})
    assert (row.article_id, row.text, row.label, row.date) == ("a", "More tea.", "for", "2019-02-28")


def test_a_column_is_named_in_the_config_as_in_the_table(tmp_path):
    (tmp_path / "tea.csv").write_text("Text,Label\nMore tea.,for\n")
    (row,) = read_labelled(tmp_path / "tea.csv", NAMES, {"text": "Text", "label": "Label"})
    assert (row.text, row.label) == ("More tea.", "for")


def test_a_table_that_is_not_there_is_named(tmp_path):
    assert "gone.csv: no such file; expected a labelled .jsonl" in refusal(load, tmp_path / "gone.csv")


def test_a_table_without_a_row_is_named(table):
    assert "holds no row" in refusal(load, table([]))


def test_a_table_has_no_index_to_extend(table):
    assert "is the whole data of this config; expected seeds and labels" in refusal(extend_index, config(table(rows())))
