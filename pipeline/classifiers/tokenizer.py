"""A tokenizer from its file, which comes from an export or a checkpoint, and may be anybody's."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tokenizers import Tokenizer

SPACES = " {2,}"  # the regular expression that multilingual encoders have: any other might take for ever
MOST_BYTE_LEVELS = 2  # each may double a text


def load_tokenizer(content: bytes) -> Tokenizer:
    """Build a tokenizer; ValueError where one of its rules could make texts endless, or take endless time."""
    from tokenizers import Tokenizer

    text = content.decode()
    stored = json.loads(text)
    rules = [rule for name in ("normalizer", "pre_tokenizer") for rule in _rules(stored.get(name))]
    for rule in rules:
        pattern = rule.get("pattern")
        known = pattern.get("Regex", SPACES) == SPACES if isinstance(pattern, dict) else pattern is None
        shortest = len(pattern.get("String", "  ")) if known and pattern else 1
        if not known or any(len(str(rule.get(name, ""))) > shortest for name in ("content", "prepend")):
            raise ValueError(f"tokenizer.json has a rule that no known encoder has: {json.dumps(rule)[:80]}")
    if sum(rule.get("type") == "ByteLevel" for rule in rules) > MOST_BYTE_LEVELS:
        raise ValueError(f"tokenizer.json turns text into bytes more than {MOST_BYTE_LEVELS} times")
    return Tokenizer.from_str(text)


def _rules(value: Any) -> Iterator[dict[str, Any]]:
    """Yield a rule and those inside it, but for patterns, which are none."""
    if isinstance(value, dict):
        yield value
    for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from (rule for rule in _rules(part) if not {"Regex", "String"} & rule.keys())
