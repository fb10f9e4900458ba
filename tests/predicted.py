"""Predicted rows as `stance predict` writes them, made up."""

import json

import numpy as np

LABEL_NAMES = ("pro-sanctions", "pro-dialogue", "neutral")
OUTLETS = ("The Daily Parley", "Kimchi Times", "Noodle Post")


def predicted_rows(articles=60, sentences=10, seed=0, label_names=LABEL_NAMES):
    """Rows of articles from three outlets and two years, with the true label of each sentence."""
    rng = np.random.default_rng(seed)
    rows, truth = [], []
    for article in range(articles):
        lean = rng.dirichlet([2] * len(label_names))
        for index in range(sentences):
            probabilities = rng.dirichlet(8 * lean + 0.2)
            label = label_names[int(probabilities.argmax())]
            row = {"article_id": f"a{article}", "sentence_index": index, "start": 20 * index, "end": 20 * index + 19}
            row |= {"text": f"Sentence {index} of letter {article}.", "label": label}
            row |= {"confidence": float(probabilities.max())}
            names = [f"p_{name.replace('-', '_')}" for name in label_names]
            row |= dict(zip(names, probabilities.tolist(), strict=True))
            row |= {"title": "A letter", "date": f"20{17 + article % 2}-{1 + article % 12:02}-03"}
            rows.append(row | {"outlet": OUTLETS[article % 3]})
            truth.append(int(rng.choice(len(label_names), p=probabilities)))
    return rows, truth


def write_rows(rows, file):
    """Write rows in the format that the name says, through the writer of predictions."""
    from pipeline.prediction.forms import encode, header, to_parquet

    columns = list(rows[0])
    content = header(file.name, columns) + encode(rows, file.name, columns)
    if file.suffix == ".parquet":
        lines = file.with_suffix(".lines")
        lines.write_bytes(content)
        to_parquet(lines, file, columns, 100)
        lines.unlink()
    else:
        file.write_bytes(content)
    return file


def write_labels(rows, truth, file, sampling="random", label_names=LABEL_NAMES):
    """Write the true labels of rows as annotations."""
    lines = [
        {name: row[name] for name in ("article_id", "start", "end", "text")}
        | {"label": label_names[label], "annotator": "ann", "sampling": sampling}
        for row, label in zip(rows, truth, strict=True)
    ]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return file
