# shellcheck shell=bash
# Sets up what the scripts need: system libraries, a virtual environment, the package. To be sourced.
#
# SMPLIFYX_VENV    folder of the virtual environment (default: .venv in the repository)
# SMPLIFYX_PYTHON  the Python that makes it (default: the first of python3.11 ... python3 that is 3.11 or later)
# SMPLIFYX_TORCH   what pip installs as torch, for example "torch==2.13.0 --index-url https://..."
# SMPLIFYX_SYSTEM  "skip": leave the system's packages alone

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
VENV=${SMPLIFYX_VENV:-$ROOT/.venv}
export PIP_DISABLE_PIP_VERSION_CHECK=1
CPU_WHEELS=https://download.pytorch.org/whl/cpu
GRAPHICS_PACKAGES=(libegl1 libgl1 libgl1-mesa-dri) # OpenGL without a screen

say() { printf '%s\n' "-- $*" >&2; }

die() {
    printf '%s\n' "error: $*" >&2
    exit 1
}

# Prints the Python to make the environment with.
find_python() {
    local candidate
    for candidate in ${SMPLIFYX_PYTHON:-python3.11 python3.12 python3.13 python3}; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            printf '%s\n' "$candidate"
            return
        fi
    done
    die "no Python 3.11 or later found. On Debian and Ubuntu: apt-get install python3.11 python3.11-venv"
}

# Prints those of the named Debian packages that are not installed.
missing_packages() {
    local package
    for package in "$@"; do
        if [ "$(dpkg-query -W -f '${db:Status-Abbrev}' "$package" 2>/dev/null)" != "ii " ]; then
            printf '%s\n' "$package"
        fi
    done
}

# Installs Debian packages as root. Otherwise says how, and fails.
install_packages() {
    say "missing system packages: $*"
    if [ "$(id -u)" -ne 0 ]; then
        say "to install them: sudo apt-get update && sudo apt-get install --no-install-recommends $*"
        return 1
    fi
    say "apt-get install $*"
    apt-get update -q >&2 || say "apt-get update failed; going on with the package lists that are there"
    DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$@" >&2
}

prepare_system() {
    local python=$1 missing=()
    [ "${SMPLIFYX_SYSTEM:-}" != skip ] && command -v dpkg-query >/dev/null && command -v apt-get >/dev/null || return 0
    if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        install_packages "$("$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')" ||
            die "$python cannot make a virtual environment without that package"
    fi
    mapfile -t missing < <(missing_packages "${GRAPHICS_PACKAGES[@]}")
    if [ "${#missing[@]}" -gt 0 ]; then
        install_packages "${missing[@]}" || say "going on without: pictures are drawn in software, which takes longer"
    fi
}

# Installs torch first: its CPU build is a tenth of the size of the default one, which brings CUDA along.
install_torch() {
    local pip=$1 wanted
    wanted=$(grep -E '^torch==' "$ROOT/constraints.txt")
    if [ -n "${SMPLIFYX_TORCH:-}" ]; then
        # shellcheck disable=SC2086 # several arguments on purpose
        "$pip" install -q $SMPLIFYX_TORCH
        return
    fi
    if [ "$(uname -sm)" = "Linux x86_64" ] && ! command -v nvidia-smi >/dev/null; then
        say "installing $wanted, the build for CPUs"
        if "$pip" install -q -c "$ROOT/constraints.txt" --index-url "$CPU_WHEELS" --timeout 10 --retries 0 \
            "$wanted" 2>/dev/null; then
            return
        fi
        say "not to be had from $CPU_WHEELS; taking the build of pip's own index"
    fi
    "$pip" install -q -c "$ROOT/constraints.txt" "$wanted"
}

# Makes the environment ready: prepare_environment EXTRAS, "" or for example "[test,build]". Quick when nothing changed.
prepare_environment() {
    local extras=$1 python stamp state
    stamp=$VENV/.smplifyx-installed$extras
    state=$(cat "$ROOT/setup.cfg" "$ROOT/pyproject.toml" "$ROOT/constraints.txt" | sha256sum)" $ROOT"
    if [ -x "$VENV/bin/smplifyx" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$state" ]; then
        return
    fi
    python=$(find_python)
    prepare_system "$python"
    if [ ! -x "$VENV/bin/pip" ]; then
        say "making a virtual environment in $VENV with $("$python" --version)"
        "$python" -m venv "$VENV"
    fi
    "$VENV/bin/python" -c 'import torch' 2>/dev/null || install_torch "$VENV/bin/pip"
    say "installing smplifyx$extras and what it needs"
    "$VENV/bin/pip" install -q -c "$ROOT/constraints.txt" -e "$ROOT$extras"
    say "compiling the kernels, which takes half a minute once"
    "$VENV/bin/python" -c 'from smplifyx.fitting.kernels import compile_kernels; compile_kernels()' ||
        say "going on without: they are compiled when they are first needed"
    printf '%s\n' "$state" >"$stamp"
}
