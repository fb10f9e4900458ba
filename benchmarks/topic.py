"""How well the rule of configs/topic.yaml finds what is off topic, and what it and the language check cost.

    python benchmarks/topic.py CLONES

CLONES holds the files that labels/external names, as OWNER/NAME/path. `on_topic.csv` says of 459 of its sentences, all
neutral, whether they have to do with North Korea (one reading by a language model). `first` was drawn before the rule
was written, and tuned it; `fresh` was drawn afterwards; `fresh, off` is of what the rule had marked in whole articles,
and has no recall.
"""

from __future__ import annotations

import csv
import json
import sys
import time
from bisect import bisect_right
from collections import Counter, defaultdict
from pathlib import Path

from pipeline.config import read_config, read_topic_words
from pipeline.data.download import clones
from pipeline.data.external import normalize, read_external
from pipeline.data.language import foreign_language
from pipeline.data.sentences import cut
from pipeline.data.topic import on_topic


def main(folder: Path) -> None:
    """Print what the rule keeps of sentences that take a side, and its precision and recall on the others."""
    config, here = read_config("configs/default.yaml"), Path(__file__).parent
    words = read_topic_words(Path("configs/topic.yaml"))
    with (here / "on_topic.csv").open(newline="") as stream:
        known = {
            row["id"]: (f"{row['source']}, {row['sample']}", row["on_topic"] == "true")
            for row in csv.DictReader(stream)
        }
    files = defaultdict(list)
    for label in read_external(config.data.external, config.label_names):
        files[label["repo"], label["commit"], label["path"]].append(label)
    read, counts, sided, sentences, seconds, foreign = clones(folder), Counter(), Counter(), 0, [0.0, 0.0], 0
    for source, labels in files.items():
        content = read(source, lambda content: True).decode("utf-8")
        title = json.loads(content).get("title") or "" if source[2].endswith(".json") else ""
        text = normalize(content, source[2])
        spans = cut(text)
        begin = time.process_time()
        titles = [title] if title else []
        marks = on_topic([*titles, *(span.text for span in spans)], words, titled=bool(title))[len(titles) :]
        between = time.process_time()
        foreign += bool(foreign_language(text, "en"))
        seconds = [seconds[0] + between - begin, seconds[1] + time.process_time() - between]
        sentences += len(spans)
        starts = [span.start for span in spans]
        for label in labels if spans else ():
            mark = marks[max(0, bisect_right(starts, label["start"] + label["length"] // 2) - 1)]
            if label["label"] != "neutral":
                sided[label["source"], mark] += 1
            if label["id"] in known:
                sample, truth = known[label["id"]]
                counts[sample, truth, mark] += 1
    for name in sorted({name for name, _ in sided}):
        kept, total = sided[name, True], sided[name, True] + sided[name, False]
        print(f"{name}: {kept} of {total} sentences that take a side stay on topic")
    for name in sorted({name for name, _, _ in counts}):
        right, wrong, missed = (counts[name, *pair] for pair in ((False, False), (True, False), (False, True)))
        shares = f"precision {right / (right + wrong):.3f}, recall {right / (right + missed):.3f}"
        print(f"{name}: off topic with {shares} ({right} right, {wrong} wrong, {missed} missed)")
    print(f"topic {seconds[0] / sentences * 1e6:.0f} us a sentence")
    print(f"language {seconds[1] / len(files) * 1e6:.0f} us an article")
    print(f"{foreign} of {len(files)} documents are called foreign")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
