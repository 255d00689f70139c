# make demo   from nothing to twenty-nine segmented bones in a few minutes
# make test   style, types and tests
# make benchmark   accuracy, speed and robustness of every bundle that has weights: docs/benchmark.md and README.md
# Each makes its own virtual environment, .venv, when there is none.

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
JOBS ?= 2
EFFISEGNET := bundles/effisegnet/configs
DEMO := --data_dir demo/data --folds demo/folds.json --ckpt_dir demo/models \
	--tracking_uri sqlite:///demo/mlflow.db --image_size 192 --max_epochs 12 --val_interval 6 --batch_size 2 \
	--learning_rate 0.004 --augmentation_strength 0.2 --num_workers 1

.PHONY: demo test benchmark sample clean

$(READY): setup.cfg pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(0 if (3, 11) <= sys.version_info[:2] <= (3, 13) else "handseg needs Python 3.11 to 3.13; name one with make PYTHON=python3.11")'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet "$$(grep '^torch==' constraints.txt)"
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

demo: $(READY)
	$(BIN)/handseg simulate --count 96 --size 320 --seed 1 --output demo/data
	$(BIN)/handseg make-folds demo/data --output demo/folds.json --count 16
	$(BIN)/python -m monai.bundle run training --config_file $(EFFISEGNET)/train.json $(DEMO) \
		--output_dir demo/training
	$(BIN)/python -m monai.bundle run evaluating --config_file "['$(EFFISEGNET)/train.json','$(EFFISEGNET)/evaluate.json']" \
		$(DEMO) --output_dir demo/evaluation
	$(BIN)/handseg predict data/sample/DCM --bundle effisegnet --weights demo/models/model.pt --output demo/predictions
	@echo
	@echo "Overlays of unseen hands    demo/predictions/overlays/"
	@echo "Submission CSV              demo/predictions/predictions.csv"
	@echo "Dice of every bone          demo/evaluation/per_bone.csv"
	@echo "Metrics of every epoch      demo/training/metrics.csv"
	@echo "Weights                     demo/models/model.pt"
	@echo "MLflow database             demo/mlflow.db; open its page with"
	@echo "    $(BIN)/mlflow ui --backend-store-uri sqlite:///demo/mlflow.db"

test: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	OMP_NUM_THREADS=1 $(BIN)/pytest --numprocesses $(JOBS)

benchmark: $(READY)
	$(BIN)/python benchmarks/accuracy --publish

sample: $(READY)
	rm -rf data/sample
	$(BIN)/handseg simulate --count 8 --size 512 --seed 29 --output data/sample
	$(BIN)/handseg make-folds data/sample --output data/folds/sample.json --count 4

clean:
	rm -rf .venv demo build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache
