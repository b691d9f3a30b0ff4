# Two commands on a bare machine: `make demo` and `make test`. Both make their own .venv first.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed

.PHONY: demo test lint types fast slow benchmarks peers wheel-check lowest docs studies-quick gpu gpu-wheels clean

RUN := out/demo

demo: $(STAMP)
	@mkdir -p out
	@echo "== the plan: what samples of the prior predict at each KL strength"
	@$(BIN)/qdtrain plan guided
	@echo "== the loop: the 250 k molecule prior towards QED, diversity held at .80, 240 steps ($(RUN))"
	@test -f $(RUN)/summary.json || { test -d $(RUN)/checkpoints && $(BIN)/qdtrain resume $(RUN); } || \
		{ rm -rf $(RUN); $(BIN)/qdtrain run guided --out $(RUN); }
	@echo "== the laws of this run, what is ahead, and the advice"
	@$(BIN)/qdlaws fit $(RUN) --price 0.5 --plot out/laws.png
	@$(BIN)/qdlaws forecast $(RUN)
	@$(BIN)/qdlaws advise $(RUN) --min-diversity 0.8
	@$(BIN)/qdlaws report $(RUN) --out out/report.html --min-diversity 0.8
	@echo "== open out/report.html"

test: lint types fast

lint: $(STAMP)
	@echo "== lint"
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: $(STAMP)
	@echo "== types"
	@$(BIN)/mypy

fast: $(STAMP)
	@echo "== fast tests"
	@OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 -m "not slow and not gpu"

slow: $(STAMP)
	@echo "== slow tests"
	@$(BIN)/pytest -m slow

benchmarks: $(STAMP)
	@echo "== quick versions of the benchmarks (see benchmarks/README.md for the full runs)"
	@for file in benchmarks/*.py benchmarks/systems/*.py; do \
		grep -q -- --quick $$file || continue; \
		echo "-- $$file"; $(BIN)/python $$file --quick || exit 1; done

studies-quick: $(STAMP)
	@echo "== small versions of the studies, into out/studies-quick (studies/README.md has the full runs)"
	@for file in studies/*/run.py; do echo "-- $$file"; $(BIN)/python $$file --quick || exit 1; done

# On a machine with a GPU: no network and no .venv; WHEELS=folder holds what its Python lacks.
gpu:
	@test -z "$(WHEELS)" || $(PYTHON) -m pip install -q --no-index --no-deps --no-compile --upgrade \
		--target out/gpu-site $(WHEELS)/*.whl
	@PYTHONPATH=$(CURDIR):$(CURDIR)/out/gpu-site $(PYTHON) benchmarks/gpu.py \
		--minutes $(or $(MINUTES),8) $(if $(ONLY),--only $(ONLY))

# What a PyTorch image with Python 3.12 lacks, about 40 MB, into out/gpu-wheels.
gpu-wheels:
	@$(PYTHON) -m pip download -q --no-deps --only-binary=:all: -c constraints.txt -d out/gpu-wheels \
		--python-version 3.12 --implementation cp \
		$(addprefix --platform ,manylinux_2_28_x86_64 manylinux_2_27_x86_64 manylinux_2_17_x86_64 manylinux2014_x86_64) \
		rdkit trl datasets multiprocess dill xxhash lmfit asteval uncertainties msgspec tomli-w
	@du -sh out/gpu-wheels

peers: $(STAMP)
	@echo "== one environment for each family of peers, in .peers (see benchmarks/peers_environments.py)"
	@$(BIN)/python benchmarks/peers_environments.py

wheel-check: $(STAMP)
	@echo "== the wheel in empty environments, with each extra by itself"
	@$(BIN)/pip install -q --disable-pip-version-check uv
	@$(BIN)/python release/wheel_check.py $(WHEEL_CHECK)

# The oldest versions that pyproject.toml allows; torch, which is large, as pinned.
lowest: $(STAMP)
	@echo "== fast tests with the oldest versions, in .peers/lowest"
	@$(BIN)/pip install -q --disable-pip-version-check uv
	@$(BIN)/uv venv -q --clear --python $(BIN)/python .peers/lowest
	@grep '^torch==' constraints.txt > .peers/lowest/torch.txt
	@UV_FIND_LINKS="$(PIP_FIND_LINKS)" $(BIN)/uv pip install -q --python .peers/lowest/bin/python \
		--resolution lowest-direct -c .peers/lowest/torch.txt -e ".[trainer,logs,dev]"
	@OMP_NUM_THREADS=1 .peers/lowest/bin/python -m pytest -n 2 -m "not slow and not gpu" $(TESTS)

docs: $(STAMP)
	@echo "== the pages that are written from the code"
	@for page in architecture reference configuration scoring; do \
		test ! -f docs/$$page.py || $(BIN)/python docs/$$page.py || exit 1; done
	@echo "== the site, warnings are errors: out/site/index.html"
	@$(BIN)/pip install -q --disable-pip-version-check -c constraints.txt -e ".[docs]"
	@$(BIN)/python docs/fetch_mathjax.py
	@OMP_NUM_THREADS=1 $(BIN)/python -m sphinx -q -W --keep-going -b html docs out/site
	@$(BIN)/python docs/check_site.py out/site

$(STAMP): pyproject.toml constraints.txt
	@echo "== setting up $(VENV) (once; a few minutes)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; say make PYTHON=python3.12 …"; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install -q --disable-pip-version-check -c constraints.txt torch $(TORCH_OPTIONS)
	@$(BIN)/pip install -q --disable-pip-version-check -c constraints.txt -e ".[trainer,logs,dev]"
	@touch $(STAMP)

clean:
	rm -rf $(VENV) out build *.egg-info
