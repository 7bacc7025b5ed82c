# Sourced by the scripts beside it. Gives them ROOT, PY (the environment's python) and:
#   make_env GROUP...   makes the environment, installs the named dependency groups and the project itself
#   make_clients        makes an environment of other people's S3 clients and sets OBJECTFS_CLIENTS to it
#   make_async_clients  likewise OBJECTFS_CLIENTS_ASYNC, of those whose dependencies exclude the others'
# The second run with nothing changed takes a fraction of a second: what was installed is remembered by a checksum.
#
#   PYTHON            the interpreter to start from          (default: the first of python3, python3.14 … python3.11)
#   OBJECTFS_VENV     where the environment is made          (default: .venv in the checkout)
#   OBJECTFS_CLIENTS  where that of the clients is made      (default: .venv-clients in the checkout)
#   OBJECTFS_CLIENTS_ASYNC  and of those others              (default: .venv-clients-async in the checkout)
#   OBJECTFS_NATIVE   build the engine: ON, OFF or AUTO      (default: ON, so that a missing compiler is said, not hidden)
# shellcheck shell=bash

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
VENV=${OBJECTFS_VENV:-$ROOT/.venv}
PY=$VENV/bin/python
export OBJECTFS_NATIVE=${OBJECTFS_NATIVE:-ON}
export PIP_DISABLE_PIP_VERSION_CHECK=1

say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }
die() { say "$*"; exit 1; }

_find_python() {
    local candidate
    for candidate in ${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11}; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$candidate"
            return
        fi
    done
    die "needs Python 3.11 or newer${PYTHON:+ ($PYTHON is not)}; set PYTHON=/path/to/python3"
}

# One checksum over all that an installation is made of, names included.
_fingerprint() {
    local paths=() path
    for path in pyproject.toml CMakeLists.txt LICENSE NOTICE build_backend cmake native src third_party; do
        [ ! -e "$ROOT/$path" ] || paths+=("$path")
    done
    {
        echo "$OBJECTFS_NATIVE ${OBJECTFS_CRT:-} ${OBJECTFS_DEBUG:-} ${OBJECTFS_SANITIZE:-} $*"
        cd "$ROOT" && find "${paths[@]}" -type f ! -name '*.py[co]' -print0 | LC_ALL=C sort -z | xargs -0 cksum
    } | cksum
}

make_env() {
    local stamp=$VENV/.objectfs-installed wanted groups_wanted group python options=()
    mkdir -p "$(dirname "$VENV")"
    # Two scripts at once must not install into the same environment at once.
    if command -v flock >/dev/null; then
        exec 9>"$VENV.lock"
        flock 9
    fi
    if ! "$PY" -c 'import pip' 2>/dev/null; then
        python=$(_find_python)
        say "making $VENV with $("$python" -V)"
        "$python" -m venv --clear "$VENV" ||
            die "cannot make a virtual environment; on Debian and Ubuntu: apt-get install python3-venv"
    fi
    groups_wanted="$* $(cksum <"$ROOT/pyproject.toml")"
    if [ "$(cat "$stamp.groups" 2>/dev/null)" != "$groups_wanted" ]; then
        for group in "$@"; do options+=(--group "$ROOT/pyproject.toml:$group"); done
        say "installing dependencies ($*)"
        "$PY" -m pip install --quiet --upgrade 'pip>=25.1'
        "$PY" -m pip install --quiet "${options[@]}"
        echo "$groups_wanted" >"$stamp.groups"
    fi
    wanted=$(_fingerprint "$@")
    if [ "$(cat "$stamp" 2>/dev/null)" != "$wanted" ]; then
        say "installing ObjectFS (OBJECTFS_NATIVE=$OBJECTFS_NATIVE); the C libraries are built the first time, which takes minutes"
        rm -f "$stamp"
        # The environment has the build requirements (group "build"), and the build folder is kept between runs.
        (cd "$ROOT" && "$PY" -m pip install --no-build-isolation --verbose . 2>&1 | _progress) ||
            die "the installation failed; its whole output is in $VENV/install.log"
        echo "$wanted" >"$stamp"
    fi
    if command -v flock >/dev/null; then exec 9>&-; fi
}

# Other people's clients get an environment of their own: their dependencies are not ours, and awscrt must not be loaded
# beside our engine. The groups "clients" and "clients-alone" of pyproject.toml; the latter without dependencies.
make_clients() {
    export OBJECTFS_CLIENTS=${OBJECTFS_CLIENTS:-$ROOT/.venv-clients}
    _make_clients "$OBJECTFS_CLIENTS" clients clients-alone
}

make_async_clients() {
    export OBJECTFS_CLIENTS_ASYNC=${OBJECTFS_CLIENTS_ASYNC:-$ROOT/.venv-clients-async}
    _make_clients "$OBJECTFS_CLIENTS_ASYNC" clients-async
}

# _make_clients FOLDER GROUP [GROUP-WITHOUT-DEPENDENCIES]
_make_clients() {
    local folder=$1 group=$2 alone=${3:-} stamp=$1/.objectfs-installed wanted python
    mkdir -p "$(dirname "$folder")"
    if command -v flock >/dev/null; then
        exec 9>"$folder.lock"
        flock 9
    fi
    wanted=$(sed -n -e "/^$group = /p" ${alone:+-e "/^$alone = /p"} "$ROOT/pyproject.toml" | cksum)
    if [ "$(cat "$stamp" 2>/dev/null)" != "$wanted" ]; then
        python=$(_find_python)
        say "installing other people's S3 clients into $folder"
        "$python" -m venv --clear "$folder"
        "$folder/bin/python" -m pip install --quiet --upgrade 'pip>=25.1'
        "$folder/bin/python" -m pip install --quiet --group "$ROOT/pyproject.toml:$group"
        if [ -n "$alone" ]; then
            "$folder/bin/python" -m pip install --quiet --no-deps --group "$ROOT/pyproject.toml:$alone"
        fi
        echo "$wanted" >"$stamp"
    fi
    if command -v flock >/dev/null; then exec 9>&-; fi
}

# Keeps the whole output in a file and shows what a person wants to follow: the build's own lines, and errors.
_progress() {
    tee "$VENV/install.log" | grep --line-buffered -E '^ *(objectfs: |\[[0-9]+/[0-9]+\]|error: |ERROR: )' | cut -c1-160 >&2 || true
}

# A folder that disappears with the script, and the processes in PIDS with it.
PIDS=()
cleanup() {
    local pid
    for pid in ${PIDS[@]+"${PIDS[@]}"}; do kill "$pid" 2>/dev/null || true; done
    [ -z "${WORKDIR:-}" ] || rm -rf "$WORKDIR"
}
