# Shared by the scripts in this folder and the runners below tests/; meant to be sourced by bash.

say() { printf '%s\n' "$*" >&2; }

die() {
  say "error: $*"
  exit 1
}

have() { command -v "$1" >/dev/null 2>&1; }

# Servers are not on everybody's PATH.
sbin() { PATH="$PATH:/usr/sbin" have "$1"; }

# Where what is costly to make again is kept, outside any clone.
cache_dir() { printf '%s\n' "${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/toolplane"; }

# keyed_dir KIND FILE...: a folder of the cache named after what the files hold, so a changed file gets a new one.
keyed_dir() {
  local kind=$1
  shift
  printf '%s/%s-%s\n' "$(cache_dir)" "$kind" "$(cat -- "$@" | sha256sum | cut -c1-16)"
}

# make_once DIR COMMAND...: runs the command, which makes DIR, unless an earlier run completed it.
# Runs in other clones wait for each other; what an interrupted run left is made again.
make_once() {
  local dir=$1
  shift
  mkdir -p "$(dirname "$dir")"
  (
    flock 9
    [ -e "$dir/.complete" ] && exit 0
    rm -rf "$dir"
    "$@" >&2 && touch "$dir/.complete"
  ) 9>"$dir.lock"
}

# The gateway that the tests outside of cargo start.
binary() {
  local found=${TOOLPLANE_BIN:-${CARGO_TARGET_DIR:-target}/debug/toolplane}
  [ -x "$found" ] || die "no gateway at $found: run \`cargo build -p toolplane\`, or name one in TOOLPLANE_BIN"
  realpath "$found"
}

# The first Python that can make the environment of the tests.
suitable_python() {
  local candidate
  for candidate in python3.11 python3 python3.12 python3.13; do
    "$candidate" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue
    command -v "$candidate"
    return
  done
  return 1
}

# The folder with initdb and pg_ctl: the newest of Debian's, else what PATH offers.
postgres_bin() {
  local found
  found=$(printf '%s\n' /usr/lib/postgresql/*/bin/initdb | sort -V | tail -n 1)
  [ -x "$found" ] || found=$(command -v initdb) || return 1
  dirname "$(realpath "$found")"
}
