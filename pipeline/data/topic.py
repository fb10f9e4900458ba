"""Which sentences of a text have to do with the topic: a rule on words that name it, or another one."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from pipeline.config import TopicWords

# A text whose sentences name the topic this often is about it, also where they do not.
SHARE = 0.2
# In any other text, a sentence goes on with what one of so many before it has named.
REACH = 3
# A text of no more sentences says too little to be off topic by naming nothing.
SHORT = 2


@lru_cache(maxsize=8)
def _pattern(patterns: tuple[str, ...]) -> re.Pattern[str]:
    # Small letters on both sides: three times as fast as a pattern that ignores case.
    return re.compile("|".join(f"(?:{pattern})" for pattern in patterns) or "(?!)")


def on_topic(texts: Sequence[str], words: TopicWords, *, titled: bool = False) -> list[bool]:
    """Say for each sentence of a text whether it has to do with the topic.

    A sentence that names the topic has; one that names another topic instead has not. One that names neither has where
    its text is about the topic or has just named it. A text that never names it has not, unless it is short: whoever
    types a sentence or two knows what they are about. Where a text is `titled`, the first sentence is its title.
    """
    texts = [text.lower() for text in texts]
    is_short = len(texts) - titled <= SHORT
    named = [_pattern(words.topic).search(text) is not None for text in texts]
    if not is_short and not any(named):
        return [False] * len(texts)
    related, other = _pattern(words.related), _pattern(words.other)
    named = [name or related.search(text) is not None for name, text in zip(named, texts, strict=True)]
    is_about = sum(named) >= SHARE * len(texts) or (is_short and not any(named))
    return [
        named[place] or ((is_about or any(named[max(0, place - REACH) : place])) and not other.search(text))
        for place, text in enumerate(texts)
    ]
