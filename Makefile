# Every target sets up what it needs; a second call of `make setup` does nothing unless its sources changed.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
# An editable install maps each module to its file, so adding or removing a module requires a new install.
STAMP := $(VENV)/.setup-$(shell find headfit -name '*.py' | sort | cksum | cut -d' ' -f1)
NATIVE := $(shell find csrc cmake CMakeLists.txt -type f)
DEMO := runs/demo
# Small calibrations of other makers, for demo-layouts.
LAYOUTS ?= ../shared/layouts
SAMPLES := blender colmap/txt colmap/bin metashape opensfm realitycapture realitycapture/parking.csv

.PHONY: setup demo demo-layouts test test-fast docs bench bench-gradients bench-registration head-check sheets fuzz lint cuda-report sanitize clean
.DEFAULT_GOAL := setup

setup: $(STAMP)

# Install torch first, in its exact version: from a dependency's version range, pip may choose a large CUDA build.
$(STAMP): pyproject.toml constraints.txt Makefile $(NATIVE)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt "$$(grep '^torch==' constraints.txt)"
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev]'
	rm -f $(VENV)/.setup-*
	touch $(STAMP)

demo: setup
	rm -rf $(DEMO)
	$(BIN)/headfit synth $(DEMO)/capture --cameras 6 --frames 8 --size 192x256 --seed 0
	$(BIN)/headfit check $(DEMO)/capture
	$(BIN)/headfit fit --capture $(DEMO)/capture --out $(DEMO)/fit --config configs/demo.yaml --hold-out cam02
	$(BIN)/headfit evaluate $(DEMO)/fit
	$(BIN)/headfit export $(DEMO)/fit --out $(DEMO)/meshes --format npz,glb
	$(BIN)/headfit render $(DEMO)/fit --out $(DEMO)/pictures
	$(BIN)/headfit report $(DEMO)/fit --out $(DEMO)/report.html
	@echo
	@echo "Look at:"
	@echo "  $(DEMO)/capture/images/cam02/000003.png   a picture of the held-out camera"
	@echo "  $(DEMO)/pictures/cam02/000003.png         the fitted head in the same view"
	@echo "  $(DEMO)/meshes/000003.glb                 its textured mesh (any glTF viewer)"
	@echo "  $(DEMO)/report.html                       the report: verdict, scores, pictures, curves"
	@echo "  $(DEMO)/fit/metrics.json                  all scores"
	@echo "  $(BIN)/tensorboard --logdir $(DEMO)/fit   losses, overlays, error maps, texture"
	@echo "Or at all of it, in the browser:"
	@echo "  $(BIN)/headfit view $(DEMO)/fit"

# Imports each of the samples that is there, and prints what its cameras look at. RealityCapture does not store sizes.
demo-layouts: setup
	rm -rf $(DEMO)/layouts
	@for sample in $(SAMPLES); do \
	    case $$sample in realitycapture*) size="--size 4000x3000" ;; *) size= ;; esac; \
	    if [ -e $(LAYOUTS)/$$sample ]; then \
	        $(BIN)/headfit import $(LAYOUTS)/$$sample --out $(DEMO)/layouts/$$(echo $$sample | tr / -) $$size || exit 1; \
	    else echo "$(LAYOUTS)/$$sample is not there (make demo-layouts LAYOUTS=FOLDER)"; fi; echo; \
	done

test: setup
	$(BIN)/python -m pytest -n auto --dist worksteal

# Takes less than a minute on two cores. A change must pass `make test`.
test-fast: setup
	$(BIN)/python -m pytest -n auto --dist worksteal -m 'not slow'

# The site: guides, and the API reference from docstrings. A warning is an error.
docs: setup
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict --site-dir build/docs
	@echo "open build/docs/index.html"

bench: setup
	$(BIN)/python tests/benchmarks/bench_raster.py
	$(BIN)/python tests/benchmarks/bench_head.py

# Penetration depths (mm) between the parts of the default head over its range of poses; takes a few minutes.
head-check: setup
	$(BIN)/python models/default/check.py

# How closely the default head registers to a foreign one; takes minutes, needs its ground truth (see the script).
bench-registration: setup
	$(BIN)/python tests/benchmarks/bench_registration.py

# The pictures of docs/head-model.md.
sheets: setup
	$(BIN)/headfit models show default --out docs/pictures/head_default.jpg

# Accuracy of the gradients against finite differences. Takes several minutes; SCENES="a1 d3" selects scenes.
bench-gradients: setup
	$(BIN)/python -m tests.gradients.table $(SCENES)

# Hostile versions of every kind of file that is read, ten minutes from a new seed, which it prints.
fuzz: setup
	$(BIN)/python -m tests.fuzz.forever 10

lint: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy headfit

# Resources and memory traffic of each CUDA kernel; needs no GPU.
cuda-report:
	$(PYTHON) tests/benchmarks/cuda_report.py

# The C++ core under AddressSanitizer and UBSan, without Python.
sanitize: setup
	cmake -S . -B build/sanitize -DHEADFIT_SANITIZE=ON -DHEADFIT_WERROR=ON
	cmake --build build/sanitize --parallel
	build/sanitize/headfit_torture

clean:
	rm -rf build $(VENV) runs/demo
