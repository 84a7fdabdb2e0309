#!/usr/bin/env bash
# Sets everything up and fits the photos that ship with the package: scripts/demo.sh [options of smplifyx demo]
set -euo pipefail
# shellcheck source=scripts/lib/environment.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib/environment.sh"

prepare_environment ""
OUTPUT=$ROOT/output/demo
status=0
"$VENV/bin/smplifyx" demo --output "$OUTPUT" "$@" || status=$?
if [ -d "$OUTPUT/images" ]; then
    say "pictures:"
    find "$OUTPUT" -path '*/images/*' -name '*.png' | sort
fi
exit "$status"
