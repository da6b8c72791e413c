# Tasks. `python3 dev.py just TARGET` runs one without anything installed; `just` alone lists them.

set shell := ["bash", "-euo", "pipefail", "-c"]
export OMP_NUM_THREADS := "1"
# pytest rewrites every assertion of the tests in each worker, where it may not keep what it made.
export PYTHONDONTWRITEBYTECODE := ""
# Two cores are there, and of a clean checkout everything is checked anew.
export MYPY_NUM_WORKERS := "2"
wheel_bin := justfile_directory() / ".venv-wheel/bin"
shipped := "from swinablate.models.catalogue import examples; print(examples() / \"studies/quickstart.toml\")"
uv := env("UV", "uv") # dev.py names the one it installed

default:
    @just --list

# Format in place
fmt:
    ruff format .
    ruff check --fix .

# Formatting, lint, types, import contracts
lint:
    ruff format --check .
    ruff check .
    mypy
    lint-imports

# Unit and conformance tests
test *ARGS:
    pytest -n 2 -q {{ARGS}}

# Write docs/models.md, docs/switches.md and the map in docs/how-it-works.md; `just docs measure` compares the models again
docs *ARGS:
    python -m tests.docs {{ARGS}}

# Write reports/ again from the records in it; `just answers HOME` takes a home's finished studies first
answers *HOMES:
    python -m tests.committed {{HOMES}}

# The documentation site, in build/site; a warning is an error
docs-site *ARGS:
    PYTHONPATH={{justfile_directory()}} NO_MKDOCS_2_WARNING=1 mkdocs build --quiet --strict {{ARGS}}

# Unit tests, what of the package they run by branch, and whether that is enough
cover *ARGS:
    coverage erase
    coverage run -m pytest -n 2 -q {{ARGS}}
    coverage combine --quiet
    rm -f .coverage.* # what a killed process had half written
    coverage report
    python -m tests.coverage_gate

# Unit tests with the lowest versions that pyproject.toml allows, in .venv-lowest
lowest *ARGS: (_environment "lowest" "--resolution lowest-direct")
    .venv-lowest/bin/pytest -n 2 -q {{ARGS}}

# Unit tests with the newest versions that pyproject.toml allows, in .venv-newest
newest *ARGS: (_environment "newest" "--upgrade")
    .venv-newest/bin/pytest -n 2 -q {{ARGS}}

# Unit tests on another Python with the locked versions, in .venv-VERSION: `just on 3.13`
on VERSION *ARGS:
    UV_PROJECT_ENVIRONMENT=.venv-{{VERSION}} {{uv}} sync --quiet --locked --python {{VERSION}}
    .venv-{{VERSION}}/bin/pytest -n 2 -q {{ARGS}}

# Build the wheel, install it alone in .venv-wheel, and use it elsewhere
wheel:
    rm -rf dist .venv-wheel
    {{uv}} build --quiet
    {{uv}} venv --quiet .venv-wheel
    {{uv}} pip install --quiet --python .venv-wheel dist/*.whl
    cd "$(mktemp -d)" && {{wheel_bin}}/swinablate --version
    cd "$(mktemp -d)" && {{wheel_bin}}/swinablate plan "$({{wheel_bin}}/python -c '{{shipped}}')"
    cd "$(mktemp -d)" && {{wheel_bin}}/swinablate demo --smoke && {{wheel_bin}}/swinablate new mine
    {{uv}} pip install --quiet --python .venv-wheel --reinstall --no-deps dist/*.tar.gz
    cd "$(mktemp -d)" && {{wheel_bin}}/swinablate demo --smoke

# UV_PYTHON chooses another Python; UV_TORCH_BACKEND=cpu a torch without CUDA, from its own index.
_environment NAME OPTIONS:
    {{uv}} venv --quiet --allow-existing .venv-{{NAME}}
    {{uv}} pip install --quiet --python .venv-{{NAME}} {{OPTIONS}} --group test --editable '.[postgres,ray,safetensors,tensorboard,timm]'

# What CI runs first: at most 8 minutes on 2 cores
check: lint test

# Real processes, stores, servers and browsers: at most 20 minutes on 2 cores
integration *ARGS:
    pytest -n 2 --dist loadfile -q -m "integration and not slow and not chaos" {{ARGS}}

# Speed against peers: `just bench step data --rounds 5 --out benchmarks/results`
bench *ARGS:
    python -m benchmarks {{ARGS}}

# What is longer than CI allows, and GPU tests, with examples that no run had before; `just cover` is half as slow again as `just test`
full *ARGS: (cover "--hypothesis-profile=default")
    pytest -q -m "slow or gpu" --hypothesis-profile=default {{ARGS}}

# 200 random kill -9 over two studies, their servers and stores, about twenty minutes; appends to benchmarks/results/chaos.md
chaos *ARGS:
    pytest -q -n 0 -s -m chaos {{ARGS}}
