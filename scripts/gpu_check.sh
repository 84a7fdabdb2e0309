#!/usr/bin/env bash
# Checks fits on a GPU against the CPU and measures them; prints one table.
#
#   scripts/gpu_check.sh --collect-wheels DIR   on a machine with a network: puts all that pip needs into a folder
#   scripts/gpu_check.sh --wheels DIR           on the machine with the GPU: installs from there, without a network
#   scripts/gpu_check.sh                        installs from pip's own index
#   scripts/gpu_check.sh --device cpu --quick   tries the check itself
#
# Other options go to tools.gpu_check: --budget SECONDS (default 300), --output FILE.
# SMPLIFYX_VENV is the virtual environment (default: .venv in the repository); one that has everything is used as it is.
set -euo pipefail
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=scripts/lib/environment.sh
. "$ROOT/scripts/lib/environment.sh"

wheels='' collect='' options=()
while [ $# -gt 0 ]; do
    case $1 in
    --wheels) wheels=${2:?"--wheels needs a folder"} && shift 2 ;;
    --collect-wheels) collect=${2:?"--collect-wheels needs a folder"} && shift 2 ;;
    *) options+=("$1") && shift ;;
    esac
done

# The requirements of the package, one a line, as setup.cfg has them.
requirements() {
    "$1" - "$ROOT/setup.cfg" <<'PYTHON'
import configparser
import sys

parser = configparser.ConfigParser()
parser.read(sys.argv[1])
print(parser["options"]["install_requires"].strip())
PYTHON
}

has_everything() {
    [ -x "$1" ] && "$1" -c 'import torch, warp, cv2, yaml, tqdm, scipy, trimesh, safetensors, PIL' 2>/dev/null
}

if [ -n "$collect" ]; then
    python=$(find_python)
    mkdir -p "$collect"
    requirements "$python" >"$collect/requirements.txt"
    "$python" -m pip wheel -q -c "$ROOT/constraints.txt" -w "$collect" -r "$collect/requirements.txt"
    say "$(find "$collect" -name '*.whl' | wc -l) wheels, $(du -sh "$collect" | cut -f1), in $collect"
    exit
fi
python=$VENV/bin/python
if ! has_everything "$python"; then
    maker=$(find_python)
    if has_everything "$maker"; then
        python=$maker
    else
        [ -x "$python" ] || "$maker" -m venv "$VENV"
        from=()
        [ -z "$wheels" ] || from=(--no-index --find-links "$wheels")
        requirements "$maker" >"$VENV/requirements.txt"
        "$VENV/bin/pip" install -q "${from[@]}" -c "$ROOT/constraints.txt" -r "$VENV/requirements.txt"
    fi
fi
cd "$ROOT"
export PYTHONPATH="$ROOT${PYTHONPATH:+:$PYTHONPATH}"
exec "$python" -m tools.gpu_check "${options[@]}"
