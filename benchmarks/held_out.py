"""Measure a model that ships on the real test documents, for those who do not have their text.

    make measure        after a new model in pipeline/pretrained/, `stance corpora` and `stance train`

Writes `test_predictions.json` (for `stance eval` and the model card) and `held_out.json` (for `stance coverage`) beside
the pretrained model that the exported one is: labels, probabilities, documents and sources, no text.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from coverage import write_facts

from pipeline.bundle import load_bundle
from pipeline.config import read_config
from pipeline.coverage.held_out import NAME
from pipeline.data.dataset import load_dataset, read_corpora
from pipeline.evaluation.measured import write_measured
from pipeline.evaluation.rows import fit_baselines, predict_rows


def main() -> None:
    """Write both files; the baselines learn from the whole train part, real and invented."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=Path("models/champion"))
    parser.add_argument("--config", type=Path, default=Path("configs/default.yaml"))
    options = parser.parse_args()
    bundle, config = load_bundle(options.model), read_config(options.config)
    assert config.data.corpora
    baselines = fit_baselines(load_dataset(config).part("train"), bundle.label_names, config)
    rows = read_corpora(config.data.corpora, bundle.label_names)
    parts = ([row for row in rows if row.split == part] for part in ("test", "full-article-test"))
    sampled, whole = (predict_rows(bundle, baselines, part) for part in parts)
    file = write_measured(sampled, whole, bundle)
    write_facts(file.with_name(NAME), options.model)


if __name__ == "__main__":
    main()
