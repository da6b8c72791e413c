# Tasks. `python3 dev.py just TARGET` runs one without anything installed; `just` alone lists them.

set shell := ["bash", "-euo", "pipefail", "-c"]
export OMP_NUM_THREADS := "1"

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

# Write docs/models.md and docs/switches.md; `just docs measure` compares the models again
docs *ARGS:
    python -m tests.docs {{ARGS}}

# Unit tests, what of the package they run by branch, and whether that is enough
cover *ARGS:
    coverage erase
    coverage run -m pytest -n 2 -q {{ARGS}}
    coverage combine --quiet
    rm -f .coverage.* # what a killed process had half written
    coverage report
    python -m tests.coverage_gate

# What CI runs first: at most 8 minutes on 2 cores
check: lint cover

# Real processes, stores, servers and browsers: at most 15 minutes on 2 cores
integration *ARGS:
    pytest -n 2 --dist loadfile -q -m "integration and not slow" {{ARGS}}

# Speed against peers: `just bench step data --rounds 5 --out benchmarks/results`
bench *ARGS:
    python -m benchmarks {{ARGS}}

# What is longer than CI allows, and GPU tests
full *ARGS:
    pytest -q -m "slow or gpu" {{ARGS}}
