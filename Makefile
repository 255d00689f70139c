# make demo   twenty-nine segmented bones with the shipped weights, then a fine-tuning of a minute
# make test   style, types and tests
# make benchmark   accuracy, speed and robustness of every bundle that has weights: docs/benchmark.md and README.md
# make bench   speed and memory against the textbook's ways: benchmarks/results/ and README.md
# make label STUDIES=folder   MONAI Label on http://127.0.0.1:8000 over a folder of radiographs: docs/monai-label.md
# make test-label   that server and its tests
# Each makes its own virtual environment when there is none: .venv, and .venv-label for MONAI Label.

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
JOBS ?= 2
CONFIGS := bundles/effisegnet/configs
SHIPPED := bundles/effisegnet/models/model.pt
DEMO := --data_dir demo/hands --folds demo/folds.json --tracking_uri sqlite:///demo/mlflow.db \
	--batch_size 2 --num_workers 1

LABEL := .venv-label/bin
LABEL_READY := .venv-label/.ready
LABEL_TESTS := .venv-label/.tests
STUDIES ?=
PORT ?= 8000
LABEL_HOST ?= 127.0.0.1
BUNDLES ?=
LABELS ?=

.PHONY: demo test bench benchmark sample clean label test-label

$(READY): setup.cfg pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(0 if (3, 11) <= sys.version_info[:2] <= (3, 13) else "handseg needs Python 3.11 to 3.13; name one with make PYTHON=python3.11")'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet "$$(grep '^torch==' constraints.txt)"
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

demo: $(READY)
	$(BIN)/handseg predict data/sample/DCM --bundle effisegnet --output demo/predictions
	@echo
	@echo "Now fine-tuning on sixteen hands of another kind, and what it gains on eight more."
	$(BIN)/handseg simulate --count 24 --size 512 --seed 1 --preset shifted --output demo/hands
	$(BIN)/handseg make-folds demo/hands --output demo/folds.json --count 3
	$(BIN)/python -m monai.bundle run evaluating --config_file "['$(CONFIGS)/train.json','$(CONFIGS)/evaluate.json']" \
		$(DEMO) --weights $(SHIPPED) --output_dir demo/before
	$(BIN)/python -m monai.bundle run training --config_file "['$(CONFIGS)/train.json','$(CONFIGS)/finetune.json']" \
		$(DEMO) --max_epochs 4 --val_interval 4 --ckpt_dir demo/models --output_dir demo/training
	$(BIN)/python -m monai.bundle run evaluating --config_file "['$(CONFIGS)/train.json','$(CONFIGS)/evaluate.json']" \
		$(DEMO) --weights demo/models/model.pt --output_dir demo/after
	@echo
	@echo "Overlays with the shipped weights   demo/predictions/overlays/"
	@echo "Submission CSV, confidence          demo/predictions/"
	@echo "Dice before fine-tuning             demo/before/per_bone.csv"
	@echo "Dice after fine-tuning              demo/after/per_bone.csv, overlays beside it"
	@echo "MLflow database                     demo/mlflow.db; open its page with"
	@echo "    $(BIN)/mlflow ui --backend-store-uri sqlite:///demo/mlflow.db"

test: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	OMP_NUM_THREADS=1 $(BIN)/pytest --numprocesses $(JOBS)

benchmark: $(READY)
	$(BIN)/python benchmarks/accuracy --publish

bench: $(READY)
	$(BIN)/python benchmarks/bench --publish

$(LABEL_READY): setup.cfg pyproject.toml constraints.txt requirements/monailabel.txt
	$(PYTHON) -c 'import sys; sys.exit(0 if (3, 11) <= sys.version_info[:2] <= (3, 13) else "handseg needs Python 3.11 to 3.13; name one with make PYTHON=python3.11")'
	$(PYTHON) -m venv .venv-label
	$(LABEL)/pip install --quiet "$$(grep '^torch==' constraints.txt)"
	$(LABEL)/pip install --quiet --constraint constraints.txt --editable '.[segformer,dicom]'
	$(LABEL)/pip install --quiet --no-deps --requirement requirements/monailabel.txt
	touch $@

$(LABEL_TESTS): $(LABEL_READY)
	$(LABEL)/pip install --quiet --constraint constraints.txt pytest hypothesis
	touch $@

label: $(LABEL_READY)
	@test -n "$(STUDIES)" || { echo 'name the folder of your radiographs: make label STUDIES=folder' >&2; exit 2; }
	$(LABEL)/python -m handseg_bundle_common.monailabel_app.launch --studies "$(STUDIES)" --host "$(LABEL_HOST)" \
		--port "$(PORT)" --bundles "$(BUNDLES)" --labels "$(LABELS)"

test-label: $(LABEL_TESTS)
	OMP_NUM_THREADS=1 $(LABEL)/pytest tests/monailabel

sample: $(READY)
	rm -rf data/sample
	$(BIN)/handseg simulate --count 8 --size 512 --seed 29 --output data/sample
	$(BIN)/handseg make-folds data/sample --output data/folds/sample.json --count 4

clean:
	rm -rf .venv .venv-label demo build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache
