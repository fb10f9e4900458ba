"""A file is there whole, or it is not there."""

import pytest

from pipeline.data.files import write_whole, write_whole_folder


def test_a_file_appears_when_all_of_it_is_written(tmp_path):
    file = tmp_path / "soups" / "borscht.txt"
    with write_whole(file) as partial:
        partial.write_text("beetroot")
        assert not file.exists()
    assert file.read_text() == "beetroot" and list(file.parent.iterdir()) == [file]


def test_what_fails_half_way_leaves_the_old_file_and_nothing_else(tmp_path):
    file = tmp_path / "borscht.txt"
    file.write_text("yesterday's")
    with pytest.raises(ZeroDivisionError), write_whole(file) as partial:
        partial.write_text("half a beet")
        1 / 0  # noqa: B018 - the kitchen is on fire
    assert file.read_text() == "yesterday's" and list(tmp_path.iterdir()) == [file]


def test_two_cooks_may_write_one_file_and_neither_stirs_in_the_others_pot(tmp_path):
    file = tmp_path / "borscht.txt"
    with write_whole(file) as first, write_whole(file) as second:
        first.write_text("beetroot")
        second.write_text("cabbage")
        assert first != second
    assert file.read_text() == "beetroot" and list(tmp_path.iterdir()) == [file]


def test_a_folder_appears_when_all_of_it_is_written_and_takes_the_place_of_the_old(tmp_path):
    kitchen = tmp_path / "house" / "kitchen"
    for soup in ("borscht", "cabbage soup"):
        with write_whole_folder(kitchen) as partial:
            (partial / soup).write_text("hot")
            assert not (kitchen / soup).exists()
        assert [file.name for file in kitchen.iterdir()] == [soup] and list(kitchen.parent.iterdir()) == [kitchen]
    with pytest.raises(ZeroDivisionError), write_whole_folder(kitchen):
        1 / 0  # noqa: B018 - the kitchen is on fire
    assert (kitchen / "cabbage soup").exists() and list(kitchen.parent.iterdir()) == [kitchen]


def test_what_a_killed_try_left_of_a_folder_is_cleared_and_the_old_one_put_back(tmp_path):
    for crumbs in (".kitchen.partial", ".kitchen.old"):
        (tmp_path / crumbs).mkdir()
        (tmp_path / crumbs / "crumbs").write_text("crumbs")
    with pytest.raises(ZeroDivisionError), write_whole_folder(tmp_path / "kitchen") as partial:
        assert list(partial.iterdir()) == []
        1 / 0  # noqa: B018 - the kitchen is on fire
    assert [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")] == ["kitchen", "kitchen/crumbs"]
