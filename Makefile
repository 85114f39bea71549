# Everything sets up what it needs in .venv. Only `demo` is enough to use the project; `test` brings PyTorch too.
.PHONY: demo setup toolchains test test-all check bench playground clean

VENV := .venv
BIN := $(VENV)/bin
PROMPT := write a factorial function

demo: $(VENV)/.base
	@for lang in python cpp java javascript go; do \
	  printf '\n== %s: %s\n' "$$lang" "$(PROMPT)"; \
	  $(BIN)/codegeex generate "$(PROMPT)" --lang $$lang --temperature 0 --max-tokens 160 || exit 1; \
	done
	@printf '\nFive programs from the model inside the package. Try: %s\n' '$(BIN)/codegeex generate "reverse a string" --lang go'

setup: $(VENV)/.full

# What the sandbox compiles and runs programs with (Debian packages); tests that need them are skipped without.
toolchains:
	@sh tools/install-toolchains.sh

# Two at a time: most tests wait for compilers, browsers and servers.
test: $(VENV)/.full
	$(BIN)/python -m pytest -n 2 --dist worksteal -m 'not slow'

test-all: $(VENV)/.full
	$(BIN)/python -m pytest -n 2 --dist worksteal

check: $(VENV)/.full
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

bench: $(VENV)/.full
	for script in benchmarks/*.py; do $(BIN)/python $$script || exit 1; done

# The pages that the server shows, built into the package; needs Node.
playground:
	cd playground && npm ci --no-audit --no-fund && npm run build

$(VENV)/.base: pyproject.toml constraints.txt
	@sh tools/make-venv.sh $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable .
	@touch $@

# Has all that the base has, so that the engine is built once.
$(VENV)/.full: pyproject.toml constraints.txt
	@sh tools/make-venv.sh $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[all,dev]'
	@touch $(VENV)/.base $@

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
