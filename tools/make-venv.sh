#!/bin/sh
# Make a virtual environment with Python 3.11 or newer at $1. A missing Python is installed through apt-get where that
# is there and allowed; elsewhere a line says what to install.
set -eu
venv=$1
[ -x "$venv/bin/python" ] && exit 0

new_enough() { "$1" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

find_python() {
  for python in ${PYTHON:-} python3 python3.13 python3.12 python3.11; do
    if command -v "$python" >/dev/null && new_enough "$python"; then
      echo "$python"
      return
    fi
  done
}

python=$(find_python)
if [ -z "$python" ] && command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; then
  echo "installing python3 and python3-venv"
  apt-get update -qq && apt-get install -y -qq python3 python3-venv
  python=$(find_python)
fi
if [ -z "$python" ]; then
  echo "codegeex needs Python 3.11 or newer with its venv module." >&2
  echo "On Debian or Ubuntu: sudo apt-get install python3 python3-venv. Elsewhere: https://www.python.org." >&2
  exit 1
fi
"$python" -m venv "$venv"
