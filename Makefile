# tidemark: build, test, demonstrate, install. "make help" lists the targets.
SHELL = /bin/bash
PREFIX ?= /usr/local
DESTDIR ?=
SWIFT ?= $(or $(shell command -v swift 2>/dev/null),/opt/swift/usr/bin/swift)
RELEASE = .build/release
# The sources are built with a Swift toolchain of 6.2 or newer; everything else is installed by Tests/prepare.
BUILD = $(SWIFT) build -c release --static-swift-stdlib

.PHONY: help
help:
	@echo 'make demo      install what is needed, build, and play the main job on a private PostgreSQL'
	@echo 'make test      install what is needed and run every test, real servers included'
	@echo 'make test-stress  run every test ten times beside two busy loops, and list what failed'
	@echo 'make build     build both executables in $(RELEASE)'
	@echo 'make install   install under PREFIX (now $(PREFIX)), honouring DESTDIR'
	@echo 'make deb       build a Debian package in dist/'
	@echo 'make lint      check the format of the sources'
	@echo 'make bench     measure against pgBackRest; ONLY=archive|wal|backup|recovery|table for one family'
	@echo 'make soak      the long tests'
	@echo 'make bare      play demo, docs/start.md and the units on a bare Debian 12 booted for it (root, systemd-nspawn)'
	@echo 'make test-versions  run what is tested on every version on those in MORE_POSTGRES (now $(MORE_POSTGRES))'
	@echo 'make clean     remove what was built'

.PHONY: build
build:
	@Tests/prepare build
	@$(BUILD) 2>&1 | Tests/quietly

.PHONY: demo
demo: build
	@docs/demo/demo $(RELEASE)

.PHONY: lint
lint:
	@$(SWIFT) format lint --strict -r Sources Tests Package.swift

.PHONY: test
test: lint
	@Tests/prepare
	@$(MAKE) --no-print-directory build
	@TIDEMARK_BIN=$(CURDIR)/$(RELEASE) SWIFT=$(SWIFT) Tests/run

# A suite that fails by chance lets nothing land.
.PHONY: test-stress
test-stress: build
	@Tests/prepare
	@TIDEMARK_BIN=$(CURDIR)/$(RELEASE) SWIFT=$(SWIFT) Tests/stress

# PostgreSQL versions that Tests/prepare doesn't install, wherever they come from: MORE_POSTGRES/13/bin/postgres and so
# on.
MORE_POSTGRES ?= /var/tmp/postgres-more
.PHONY: test-versions
test-versions: build
	@Tests/prepare
	@found=; for version in 13 14 17; do \
	    [ ! -x $(MORE_POSTGRES)/$$version/bin/postgres ] || { $(MORE_POSTGRES)/$$version/bin/postgres --version && found=1; } || exit 1; \
	done; [ -n "$$found" ] || { echo 'There is no PostgreSQL 13, 14 or 17 in $(MORE_POSTGRES).' >&2; exit 1; }
	@TIDEMARK_MORE_POSTGRES=$(MORE_POSTGRES) TIDEMARK_BIN=$(CURDIR)/$(RELEASE) SWIFT=$(SWIFT) Tests/run \
	    --filter 'InsidePostgres|BaseBackupServerTests\.BaseBackup|Prediction|DropServer|TableRecoveryServer|EventsTests'

.PHONY: bench
bench: build
	@Tests/prepare bench
	@ONLY='$(ONLY)' TIDEMARK_BIN=$(CURDIR)/$(RELEASE) Benchmarks/run

.PHONY: soak
soak: build
	@Tests/prepare
	@TIDEMARK_SOAK=1 TIDEMARK_BIN=$(CURDIR)/$(RELEASE) SWIFT=$(SWIFT) Tests/run

.PHONY: bare
bare:
	@SWIFT=$(SWIFT) Tests/bare

.PHONY: install
install:
	@test -x $(RELEASE)/tidemark -a -x $(RELEASE)/tidemark-main || { echo 'Run "make build" first.' >&2; exit 1; }
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/share/man/man1 $(DESTDIR)$(PREFIX)/share/doc/tidemark \
	    $(DESTDIR)/etc/tidemark $(DESTDIR)$(PREFIX)/lib/systemd/system
	install -m 755 $(RELEASE)/tidemark $(RELEASE)/tidemark-main $(DESTDIR)$(PREFIX)/bin/
	$(RELEASE)/tidemark-main help --man > $(DESTDIR)$(PREFIX)/share/man/man1/tidemark.1
	echo '.so man1/tidemark.1' > $(DESTDIR)$(PREFIX)/share/man/man1/tidemark-main.1
	@for command in $$($(RELEASE)/tidemark-main help --list); do \
	    $(RELEASE)/tidemark-main help $$command --man > $(DESTDIR)$(PREFIX)/share/man/man1/tidemark-$$command.1 || exit 1; \
	done
	install -m 644 README.md LICENSE postgresql.conf.sample tidemark.conf.sample crontab.sample docs/*.md docs/*.json docs/*.yml \
	    $(DESTDIR)$(PREFIX)/share/doc/tidemark/
	@test -e $(DESTDIR)/etc/tidemark/tidemark.conf || \
	    install -m 644 tidemark.conf.sample $(DESTDIR)/etc/tidemark/tidemark.conf.sample
	@for shell in bash-completion/completions/tidemark:bash zsh/vendor-completions/_tidemark:zsh \
	    fish/vendor_completions.d/tidemark.fish:fish; do \
	    file=$(DESTDIR)$(PREFIX)/share/$${shell%:*}; install -d $${file%/*} && \
	    $(RELEASE)/tidemark-main help --completions $${shell#*:} > $$file || exit 1; \
	done
	@for unit in systemd/*.service systemd/*.timer; do \
	    sed 's|/usr/local/bin/tidemark|$(PREFIX)/bin/tidemark|g' $$unit > $(DESTDIR)$(PREFIX)/lib/systemd/system/$${unit##*/} || exit 1; \
	done
	@echo 'Installed. Next: $(DESTDIR)$(PREFIX)/share/doc/tidemark/README.md'

.PHONY: uninstall
uninstall:
	rm -f $(DESTDIR)$(PREFIX)/bin/tidemark $(DESTDIR)$(PREFIX)/bin/tidemark-main $(DESTDIR)$(PREFIX)/share/man/man1/tidemark.1 \
	    $(DESTDIR)$(PREFIX)/share/man/man1/tidemark-*.1 $(DESTDIR)$(PREFIX)/lib/systemd/system/tidemark-*
	rm -f $(DESTDIR)$(PREFIX)/share/bash-completion/completions/tidemark \
	    $(DESTDIR)$(PREFIX)/share/zsh/vendor-completions/_tidemark \
	    $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/tidemark.fish
	rm -rf $(DESTDIR)$(PREFIX)/share/doc/tidemark

.PHONY: deb
deb: build
	@packaging/build-deb $(RELEASE) dist

.PHONY: clean
clean:
	rm -rf .build dist
