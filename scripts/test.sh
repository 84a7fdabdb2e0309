#!/usr/bin/env bash
# Sets everything up and runs the checks: scripts/test.sh [--quick] [options of pytest]
# --quick leaves out the tests marked slow. Tests run on all processor cores; "-n 0" runs them in one process.
set -euo pipefail
# shellcheck source=scripts/lib/environment.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib/environment.sh"

marked=()
if [ "${1:-}" = --quick ]; then
    marked=(-m "not slow")
    shift
fi
prepare_environment "[test,build,train]"
cd "$ROOT"
say "ruff check"
"$VENV/bin/ruff" check .
say "ruff format --check"
"$VENV/bin/ruff" format --check .
say "mypy"
"$VENV/bin/mypy"
say "pytest"
# One thread each: the tests share the cores among them.
exec env OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}" "$VENV/bin/python" -m pytest -n auto --dist loadfile "${marked[@]}" "$@"
