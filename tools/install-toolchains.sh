#!/bin/sh
# Installs what the sandbox compiles and runs programs with, and the browser that tests look at the playground with, on
# Debian and its relatives. Elsewhere `codegeex doctor` names what is missing.
set -eu
packages="bubblewrap chromium g++ libboost-dev libssl-dev golang-go nodejs openjdk-17-jdk-headless binutils \
librust-md5-dev librust-regex-dev librust-regex+default-dev librust-regex+perf-dev librust-aho-corasick-dev \
librust-memchr-dev librust-libc-dev"
command -v rustc >/dev/null && command -v cargo >/dev/null || packages="$packages rustc cargo"
missing=""
for package in $packages; do
  case "$package" in
    nodejs) command -v node >/dev/null && continue ;;
    openjdk-*) command -v javac >/dev/null && continue ;;
    golang-go) command -v go >/dev/null && continue ;;
    chromium) command -v chromium >/dev/null && continue ;;
    g++) command -v g++ >/dev/null && continue ;;
  esac
  dpkg -s "$package" >/dev/null 2>&1 || missing="$missing $package"
done
[ -z "$missing" ] && exit 0
if ! command -v apt-get >/dev/null; then
  echo "these packages are missing, and there is no apt-get to install them:$missing" >&2
  exit 1
fi
as_root=""
[ "$(id -u)" = 0 ] || as_root="sudo"
$as_root apt-get update -qq
DEBIAN_FRONTEND=noninteractive $as_root apt-get install -y -qq --no-install-recommends $missing >/dev/null
