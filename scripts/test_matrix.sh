#!/usr/bin/env bash
# Runs the tests as other machines would: scripts/test_matrix.sh [--list] [--only NAME] [options of pytest]
#
# Each row sets the instruction sets that PyTorch, NumPy and MKL may use, the number of threads, and the order of the
# tests; "alone" runs a copy of the repository in an empty folder. A test that passes in all rows depends on none of
# these. The rows that failed are listed at the end.
set -euo pipefail
# shellcheck source=scripts/lib/environment.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib/environment.sh"

# NumPy's optional instruction sets that this processor has: "avx2" leaves those up to AVX2, "sse4" none.
numpy_features() {
    "$VENV/bin/python" - "$1" <<'PYTHON'
import sys

from numpy._core._multiarray_umath import __cpu_dispatch__, __cpu_features__

up_to_avx2 = {"AVX", "F16C", "FMA3", "AVX2", "X86_V3"}
kept = up_to_avx2 if sys.argv[1] == "avx2" else set()
print(" ".join(name for name in __cpu_dispatch__ if __cpu_features__.get(name) and name not in kept))
PYTHON
}

# NAME: assignments for env. Torch's unset capability is the processor's best.
rows() {
    cat <<ROWS
plain
torch-default: ATEN_CPU_CAPABILITY=default
torch-avx2: ATEN_CPU_CAPABILITY=avx2
numpy-avx2: NPY_DISABLE_CPU_FEATURES=$(numpy_features avx2)
numpy-sse4: NPY_DISABLE_CPU_FEATURES=$(numpy_features sse4)
mkl-compatible: MKL_CBWR=COMPATIBLE
oldest: ATEN_CPU_CAPABILITY=default;NPY_DISABLE_CPU_FEATURES=$(numpy_features sse4);MKL_CBWR=COMPATIBLE
two-threads: OMP_NUM_THREADS=2;MKL_NUM_THREADS=2
alone
ROWS
}

only="" list=""
while [ $# -gt 0 ]; do
    case $1 in
        --list) list=1 && shift ;;
        --only) only=$2 && shift 2 ;;
        *) break ;;
    esac
done

prepare_environment "[test,build,train]"
cd "$ROOT"
if [ -n "$list" ]; then
    rows
    exit
fi
# A copy of the files under version control, with nothing beside it.
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
mkdir "$copy/smplifyx"
git ls-files -z | tar --null -T - -c | tar -x -C "$copy/smplifyx"

failed=()
while IFS=: read -r name settings; do
    [ -z "$only" ] || [ "$only" = "$name" ] || continue
    variables=(OMP_NUM_THREADS=1)
    while IFS= read -r variable; do
        [ -z "$variable" ] || variables+=("$variable")
    done < <(printf '%s\n' "${settings# }" | tr ';' '\n')
    say "$name: ${variables[*]}"
    cd "$ROOT"
    [ "$name" != alone ] || cd "$copy/smplifyx"
    variables+=(PYTHONPATH="$PWD")
    env "${variables[@]}" "$VENV/bin/python" -m pytest -q -n auto --dist loadfile --random-order "$@" </dev/null ||
        failed+=("$name")
done < <(rows)
if [ "${#failed[@]}" -gt 0 ]; then
    die "tests failed in: ${failed[*]}"
fi
say "all rows passed"
