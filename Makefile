# Every target sets up what it needs: a virtual environment with the versions in constraints.txt.
PYTHON ?= python3
VENV := .venv
STANCE := $(VENV)/bin/stance
READY := $(VENV)/.ready
MODEL ?= models/champion
CONFIG ?= configs/default.yaml

.PHONY: setup lock train eval predict coverage ui data test test-browser pictures test-server test-cluster rollback lint bench bench-accuracy bench-labelling bench-coverage bench-speakers bench-serving bench-budget pretrain measure clean
.DEFAULT_GOAL := help

help:
	@echo "make train | eval | predict IN=... OUT=... | coverage IN=... OUT=... | ui | data | test | lint | lock | bench | bench-accuracy | bench-labelling | bench-coverage | bench-speakers | bench-serving | bench-budget | pretrain"

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(0 if (3, 11) <= sys.version_info < (3, 13) else "make: Python 3.11 or 3.12 is needed; try make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	PIP_CONSTRAINT=constraints.txt $(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --editable ".[dev]"
	touch $@

setup: $(READY)

# Newer versions of everything: a fresh environment with all extras, and what is then in it.
lock:
	rm -rf build/lock
	$(PYTHON) -m venv build/lock
	build/lock/bin/python -m pip install --quiet --disable-pip-version-check ".[dev,ray,spark,bench]"
	echo "# The versions that are tested together; \`make\` installs exactly these. Made by \`make lock\`." > constraints.txt
	build/lock/bin/python -m pip freeze --exclude stance-pipeline | sed 's/+.*//' >> constraints.txt

train: $(READY)
	$(STANCE) train --config $(CONFIG)

eval: $(READY)
	$(STANCE) eval --config $(CONFIG) --model $(MODEL)

predict: $(READY)
	$(STANCE) predict $(IN) --output $(OUT) --model $(MODEL)

# IN: rows of `stance predict`, or articles; OUT: a folder.
coverage: $(READY)
	$(STANCE) coverage $(IN) --output $(OUT) --model $(MODEL)

ui: $(READY)
	$(STANCE) ui

data: $(READY)
	$(STANCE) data --config $(CONFIG)

# In two processes: a test file stays in one, and files with slow tests come first. `.venv/bin/pytest` alone runs them
# one after another.
test: $(READY)
	$(VENV)/bin/pytest -n 2 --dist loadfile --no-loadscope-reorder

# Needs Chromium (Debian: apt-get install chromium chromium-driver); pictures go to build/screenshots/.
test-browser: $(READY)
	$(VENV)/bin/pytest -m browser -rs

# The two pictures of the README: what `make train` and `make eval` leave behind.
pictures: $(READY)
	STANCE_CONFIG=configs/default.yaml $(VENV)/bin/pytest -m browser -rs
	cp build/screenshots/experiment.png build/screenshots/report-light.png docs/pictures/

# Needs PostgreSQL (Debian: apt-get install postgresql), of which it runs one of its own, or says that it skips four tests;
# another builds an environment with the registered model's requirements.
test-server: $(READY)
	$(VENV)/bin/pytest -m server -rs

# Ray and Spark on this machine; Spark needs Java 17 (Debian: apt-get install openjdk-17-jre-headless).
test-cluster: $(READY)
	PIP_CONSTRAINT=constraints.txt $(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --editable ".[dev,ray,spark]"
	$(VENV)/bin/pytest -m cluster

rollback: $(READY)
	$(STANCE) rollback --config $(CONFIG)

lint: $(READY)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

# Needs models/champion, about 25 minutes; IN=articles.jsonl labels those in place of the authored ones.
bench: $(READY)
	$(VENV)/bin/python benchmarks/speed.py --model $(MODEL) $(if $(IN),--input $(IN))

# Needs the corpora (`stance corpora`), models/champion and, for the whole table, models/full; hours, QUICK=--quick minutes.
bench-accuracy: $(READY)
	PIP_CONSTRAINT=constraints.txt $(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --editable ".[dev,bench]"
	$(VENV)/bin/python benchmarks/accuracy.py $(foreach model,$(wildcard models/champion models/full),--model $(model)) $(QUICK)

bench-labelling: $(READY)
	$(VENV)/bin/python benchmarks/labelling.py
	$(VENV)/bin/python benchmarks/own_labels.py

# How often the intervals of `stance coverage` hold the truth, five minutes; the second half needs `stance corpora`.
bench-coverage: $(READY)
	$(VENV)/bin/python benchmarks/coverage.py

# How often the speakers of `stance coverage` are right, seconds; needs `stance corpora`.
bench-speakers: $(READY)
	$(VENV)/bin/python benchmarks/speakers.py

# The registered champion behind `mlflow models serve`: latency, memory, and 10,000 requests with bad ones among them.
bench-serving: $(READY)
	$(VENV)/bin/python benchmarks/serving.py

# Seconds, memory and disk of each step from set-up to the label loop, in a clone in a temporary folder.
bench-budget: $(READY)
	$(VENV)/bin/python benchmarks/budget.py --setup

# Rebuilds the pretrained models that ship; needs `stance corpora` first. UNLABELLED="FOLDER FILE" adds text,
# CHECKPOINT=FOLDER is the base-size encoder where that is not to be fetched.
pretrain: $(READY)
	$(STANCE) pretrain accurate $(if $(CHECKPOINT),--checkpoint $(CHECKPOINT))
	$(STANCE) pretrain small $(foreach file,$(UNLABELLED),--unlabelled $(file)) $(if $(CHECKPOINT),--checkpoint $(CHECKPOINT))
	$(STANCE) pretrain plain $(foreach file,$(UNLABELLED),--unlabelled $(file)) $(if $(CHECKPOINT),--checkpoint $(CHECKPOINT))

# After a new model in pipeline/pretrained/, `stance corpora` and `make train`: its predictions on the held-out documents.
measure: $(READY)
	$(VENV)/bin/python benchmarks/held_out.py --model $(MODEL) --config $(CONFIG)

clean:
	rm -rf $(VENV) .cache models mlflow.db* mlartifacts reports
