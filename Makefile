# For any POSIX make: GNU, BSD.
#
#   make            the programs, in target/release
#   make test       installs what the tests need, then format, lints and all tests
#   make demo       a throw-away PostgreSQL: backup, accident, restore, step by step
#   make bench      measures against other tools
#   make fuzz       gives the parsers random bytes, FUZZ_SECONDS for each target of fuzz/
#   make install    the programs, man pages, sample files; PREFIX and DESTDIR as usual
#   make clean      removes target/ and fuzz/target/

PREFIX = /usr/local
DESTDIR =
CARGO = cargo
# Tests wait more for servers than for the CPU.
TEST_THREADS = 4
# All targets, if none are named.
FUZZ_SECONDS = 600
FUZZ_TARGETS =

BUILT = $${CARGO_TARGET_DIR:-target}/release
BINDIR = $(DESTDIR)$(PREFIX)/bin
MANDIR = $(DESTDIR)$(PREFIX)/share/man
SHAREDIR = $(DESTDIR)$(PREFIX)/share/pgmoneta
DOCDIR = $(DESTDIR)$(PREFIX)/share/doc/pgmoneta

all:
	$(CARGO) build --release --locked --bins

test:
	sh tests/install.sh test
	$(CARGO) fmt --check
	$(CARGO) fmt --check --manifest-path fuzz/Cargo.toml
	$(CARGO) clippy --locked --all-targets -- -D warnings
	$(CARGO) test --locked --no-fail-fast -- --test-threads=$(TEST_THREADS)

demo:
	sh tests/install.sh demo
	$(CARGO) build --release --locked --bins
	sh tests/demo.sh

bench:
	sh tests/install.sh bench
	$(CARGO) bench --locked --bench peers

fuzz:
	sh fuzz/run.sh $(FUZZ_SECONDS) $(FUZZ_TARGETS)

# Builds only what is not there: as root, cargo may be missing.
install:
	[ -x $(BUILT)/pgmoneta ] || $(CARGO) build --release --locked --bins
	mkdir -p $(BINDIR) $(MANDIR)/man1 $(MANDIR)/man5 $(MANDIR)/man7 $(SHAREDIR) $(DOCDIR)
	install -m 755 $(BUILT)/pgmoneta $(BUILT)/pgmoneta-cli $(BUILT)/pgmoneta-admin $(BINDIR)
	for page in man/*.1; do install -m 644 "$$page" $(MANDIR)/man1 || exit 1; done
	for page in man/*.5; do install -m 644 "$$page" $(MANDIR)/man5 || exit 1; done
	for page in man/*.7; do install -m 644 "$$page" $(MANDIR)/man7 || exit 1; done
	install -m 644 conf/* $(SHAREDIR)
	for file in systemd/* rc/*; do \
	    sed 's|/usr/local/bin|$(PREFIX)/bin|' "$$file" >$(SHAREDIR)/$${file##*/} || exit 1; done
	chmod 755 $(SHAREDIR)/pgmoneta.freebsd $(SHAREDIR)/pgmoneta.openbsd
	install -m 644 README.md CHANGELOG.md LICENSE $(DOCDIR)

clean:
	$(CARGO) clean
	rm -rf fuzz/target

.PHONY: all test demo bench fuzz install clean
