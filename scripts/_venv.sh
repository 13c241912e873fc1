# Sourced by scripts/quickstart and scripts/test: makes .venv with the project and some extras in it.
# usage: make_venv EXTRAS

fail() { printf '%s\n' "$1" >&2; exit 1; }

find_python() {
  for candidate in "${PYTHON:-python3}" python3.13 python3.12 python3.11 python3; do
    if command -v "$candidate" >/dev/null 2>&1 &&
      "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      printf '%s\n' "$candidate"
      return
    fi
  done
  fail "Python 3.11 or newer is not on the PATH; install it, or set PYTHON to its path."
}

make_venv() {
  extras=$1
  python=$(find_python) || exit 1
  if [ ! -x .venv/bin/python ]; then
    echo "Making .venv …"
    "$python" -m venv .venv 2>/dev/null ||
      fail "Python's venv module is missing; install it (Debian: apt-get install python3-venv)."
  fi
  wanted=$(cat pyproject.toml; echo "$extras")
  if [ -f .venv/.installed ] && [ "$(cat .venv/.installed)" = "$wanted" ]; then
    return
  fi
  log=.venv/install.log
  if ! .venv/bin/python -c 'import torch' >/dev/null 2>&1; then
    echo "Installing torch …"
    # First and by itself: this release has a small CPU build, which a later range then accepts.
    .venv/bin/python -m pip install --quiet 'torch==2.13.0' >"$log" 2>&1 ||
      fail "torch could not be installed: $(grep -m1 ERROR "$log" || tail -n1 "$log") (whole log: $log)"
  fi
  echo "Installing the project and its packages …"
  .venv/bin/python -m pip install --quiet --editable ".$extras" >"$log" 2>&1 ||
    fail "the packages could not be installed: $(grep -m1 ERROR "$log" || tail -n1 "$log") (whole log: $log)"
  printf '%s\n' "$wanted" >.venv/.installed
}
