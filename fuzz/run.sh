#!/bin/sh
# run.sh SECONDS [TARGET...]: fuzzes each target, or these, for so long, one after the other.
#
# New inputs that reach more code are kept in fuzz/corpus, an input that fails in fuzz/artifacts.
# A run may take 5 seconds, an allocation 160 MiB (zstd has windows of 128 MiB), all 1 GiB.
set -eu
cd "$(dirname "$0")/.."
seconds=$1
shift

if ! cargo +nightly --version >/dev/null 2>&1; then
    echo "make fuzz needs the nightly toolchain of Rust: rustup toolchain install nightly" >&2
    exit 1
fi
if ! cargo +nightly fuzz --version >/dev/null 2>&1; then
    echo "make fuzz needs cargo-fuzz: cargo install cargo-fuzz --locked" >&2
    exit 1
fi

# The dependencies of the programs, in the same versions.
cp Cargo.lock fuzz/Cargo.lock
[ $# -gt 0 ] || set -- $(cargo +nightly fuzz list)
cargo +nightly fuzz build
failed=
for target in "$@"; do
    echo "== $target: $seconds s"
    mkdir -p "fuzz/corpus/$target" "fuzz/regressions/$target"
    cargo +nightly fuzz run "$target" \
        "fuzz/corpus/$target" "fuzz/seeds/$target" "fuzz/regressions/$target" -- \
        -max_total_time="$seconds" -timeout=5 -malloc_limit_mb=160 -rss_limit_mb=1024 \
        -max_len=65536 -print_final_stats=1 || failed="$failed $target"
    rmdir "fuzz/regressions/$target" 2>/dev/null || :
done
if [ -n "$failed" ]; then
    echo "failed:$failed; the inputs are in fuzz/artifacts" >&2
    exit 1
fi
