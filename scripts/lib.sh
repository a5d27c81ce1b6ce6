# shellcheck shell=bash
# Helpers of the scripts. Sourced, never run; expects `set -euo pipefail` of its caller.

# A failure inside $(...) ends the script too.
shopt -s inherit_errexit

ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
# Everything built or downloaded is kept outside the checkout, so that clones share it.
CACHE="${KEYSTEAD_CACHE:-$HOME/.cache/keystead}"
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$CACHE/target}"
export PATH="$CACHE/tools/bin:$HOME/.cargo/bin:$PATH"

# say TEXT...: one line about what happens next.
say() { printf '== %s\n' "$*" >&2; }

# fail TEXT...: says what went wrong and ends the script.
fail() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

# as_root COMMAND...: runs a command as root, through sudo when not root already.
as_root() {
  if [ "$(id -u)" = 0 ]; then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo "$@"
  else
    fail "'$*' needs root, and there is no sudo. Run it as root, then start again."
  fi
}

# install_packages NAME...: installs Debian packages.
install_packages() {
  command -v apt-get >/dev/null ||
    fail "these are missing and only apt-get is known here: $*. Install them, then start again."
  say "installing $* with apt-get"
  # The index may be stale or, on a fresh machine, absent.
  as_root apt-get update -qq
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@"
}

# libclang-cpp, which other packages bring along, is another library.
have_libclang() {
  [ -n "${LIBCLANG_PATH:-}" ] || compgen -G '/usr/lib/llvm-*/lib/libclang[.-][!c]*' >/dev/null ||
    ldconfig -p 2>/dev/null | grep -q '[[:space:]]libclang[.-][^c]'
}

# has_package NAME: whether apt-get could install it; fetches the index where there is none.
has_package() {
  command -v apt-cache >/dev/null || return 1
  compgen -G '/var/lib/apt/lists/*_Packages*' >/dev/null || as_root apt-get update -qq >&2
  [ -n "$(apt-cache show "$1" 2>/dev/null)" ]
}

# build_packages: the missing ones of what a build needs besides Rust, one per line.
build_packages() {
  command -v g++ >/dev/null || echo g++
  have_libclang || echo libclang-dev
}

# test_packages: the missing ones of what the tests need besides, one per line.
test_packages() {
  command -v python3 >/dev/null || echo python3
  python3 -c 'import ensurepip, venv' 2>/dev/null || echo python3-venv
  command -v node >/dev/null || echo nodejs
  command -v npm >/dev/null || echo npm
  command -v strace >/dev/null || echo strace
  command -v openssl >/dev/null || echo openssl
  command -v ip >/dev/null || echo iproute2
  # The distribution's own `aws`; not every one has it, and its test is skipped then.
  if [ ! -x /usr/bin/aws ] && has_package awscli; then echo awscli; fi
}

# install_all: whatever of the two lists above is missing.
install_all() {
  local missing
  mapfile -t missing < <(build_packages && test_packages)
  [ ${#missing[@]} -eq 0 ] || install_packages "${missing[@]}"
}

# binary: the path of the program that is tested.
binary() { printf '%s\n' "${KEYSTEAD_BIN:-$CARGO_TARGET_DIR/debug/keystead}"; }

# build_binary [CARGO ARGUMENT...]: builds it, unless KEYSTEAD_BIN names one that is built.
build_binary() {
  [ -z "${KEYSTEAD_BIN:-}" ] || return 0
  cargo build --manifest-path "$ROOT/Cargo.toml" -p keystead --bin keystead "$@"
}

# build_for_use: installs what a build needs and builds the program, with a word of warning the
# first time; nothing of this when KEYSTEAD_BIN names one that is built.
build_for_use() {
  [ -z "${KEYSTEAD_BIN:-}" ] || return 0
  command -v cargo >/dev/null || fail "Rust is missing. Install it from https://rustup.rs first."
  local missing
  mapfile -t missing < <(build_packages)
  if [ ${#missing[@]} -gt 0 ]; then
    install_packages "${missing[@]}"
  else
    say "a C++ compiler and libclang are there"
  fi
  if ! compgen -G "$CARGO_TARGET_DIR/debug/deps/librocksdb-*" >/dev/null; then
    say "building; RocksDB takes 15 to 30 minutes the first time"
  else
    say "building"
  fi
  build_binary
}

# harness: the path of the program with the checks.
harness() { printf '%s\n' "${KEYSTEAD_HARNESS:-$CARGO_TARGET_DIR/debug/keystead-harness}"; }

# build_harness: builds it, unless KEYSTEAD_HARNESS names one that is built.
build_harness() {
  [ -z "${KEYSTEAD_HARNESS:-}" ] || return 0
  cargo build --manifest-path "$ROOT/Cargo.toml" -p keystead-testkit
}

# broken_binary FEATURE: builds a program that breaks a promise, and prints its path.
broken_binary() {
  # In a folder of its own, so that it is never taken for a sound one. The feature goes without its
  # crate's name, which cargo would take for the crate's dependency on itself in its own tests.
  local folder="$CACHE/target-danger"
  CARGO_TARGET_DIR="$folder" cargo build --manifest-path "$ROOT/Cargo.toml" \
    -p keystead -p keystead-raft --features "$1" >&2
  cp "$folder/debug/keystead" "$folder/keystead-$1"
  printf '%s\n' "$folder/keystead-$1"
}

# can_isolate: whether this machine lets root make networks.
can_isolate() { as_root unshare --net --mount --pid --fork true 2>/dev/null; }

# in_own_network COMMAND...: runs a command as root with networks and processes of its own, which
# end with it.
in_own_network() {
  # The shell stays, for a first process of its own would be deaf to an interrupt.
  as_root unshare --net --mount --pid --fork --kill-child --mount-proc sh -c \
    'ip link set lo up && mkdir -p /run/netns && mount -t tmpfs tmpfs /run/netns && "$@"; exit $?' \
    sh "$@"
}

# locked FILE: runs the rest of the script alone, for as long as it lives.
locked() {
  mkdir -p "$(dirname "$1")"
  exec 9>"$1"
  flock 9
}

# python_venv REQUIREMENTS: prints the folder of a virtual environment with exactly these.
python_venv() {
  local hash folder
  hash="$(sha256sum "$1" | cut -c1-16)"
  folder="$CACHE/venv-$hash"
  (
    locked "$folder.lock"
    if [ ! -e "$folder/complete" ]; then
      say "making the Python environment $folder"
      python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
        fail "the tests need Python 3.11 or newer; this is $(python3 --version)"
      rm -rf "$folder"
      python3 -m venv "$folder"
      "$folder/bin/pip" install --quiet --disable-pip-version-check --no-deps -r "$1" >&2
      "$folder/bin/pip" check >&2
      touch "$folder/complete"
    fi
  )
  printf '%s\n' "$folder"
}

# node_modules FOLDER: prints a copy of FOLDER in which its locked packages are installed.
node_modules() {
  local hash folder
  hash="$(cat "$1/package.json" "$1/package-lock.json" | sha256sum | cut -c1-16)"
  folder="$CACHE/js-$hash"
  (
    locked "$folder.lock"
    if [ ! -e "$folder/complete" ]; then
      say "installing the JavaScript packages in $folder"
      rm -rf "$folder"
      mkdir -p "$folder"
      cp "$1/package.json" "$1/package-lock.json" "$1/.npmrc" "$folder/"
      (cd "$folder" && npm ci --silent --ignore-scripts >&2)
      touch "$folder/complete"
    fi
  )
  printf '%s\n' "$folder"
}

# random_seed: a seed for a run that is to be unlike the others.
random_seed() { od -An -N4 -tu4 /dev/urandom | tr -d ' '; }

# evidence NAME SEED FIGURES: appends one line to docs/evidence.md.
evidence() {
  local file="$ROOT/docs/evidence.md" commit
  commit="$(git -C "$ROOT" rev-parse --short=12 HEAD 2>/dev/null || echo unknown)"
  # The file of evidence itself changes with every run.
  git -C "$ROOT" diff --quiet HEAD -- . ':!docs/evidence.md' 2>/dev/null ||
    commit="$commit+changes"
  if [ ! -e "$file" ]; then
    mkdir -p "$ROOT/docs"
    {
      printf '# Evidence\n\nWhat the long runs found: each `scripts/long NAME` adds a line.\n\n'
      printf '| date (UTC) | run | commit | seed | figures |\n|---|---|---|---|---|\n'
    } >"$file"
  fi
  printf '| %s | %s | %s | %s | %s |\n' \
    "$(date -u +%Y-%m-%dT%H:%MZ)" "$1" "$commit" "$2" "$3" >>"$file"
}
