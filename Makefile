# SPDX-License-Identifier: MIT
#
# A short way to Meson. The two commands: `make run` and `make check`. `make help` lists the rest.

BUILD  ?= build
# What `make run` starts, and with which options: make run KERNEL=~/vmlinux ARGS="-m 512M -d root.img" PARAMETERS="root=/dev/vda"
# A Debian, which is fetched the first time. Our own tiny kernel: make run KERNEL=build/guest/pup/pup
KERNEL ?= debian
ARGS   ?= -m 512M
PARAMETERS ?=
# Which tests: make check TESTS="pup-disk host-slirp"
TESTS  ?=

.PHONY: all program run check bench bench-ring bench-vhost bench-work fuzz doctor install help setup clean

all: $(BUILD)/build.ninja ## build (the program is build/kennel)
	@ninja -C $(BUILD)

# What running a guest needs: the program, and a kernel of ours if that is to run.
program: $(BUILD)/build.ninja
	@ninja -C $(BUILD) kennel $(patsubst $(BUILD)/%,%,$(filter $(BUILD)/guest/%,$(KERNEL)))

$(BUILD)/build.ninja: | setup
	@meson setup $(BUILD) $(MESONFLAGS)

# Whoever only wants to run a guest need not have what tests are made with.
SETUP = scripts/setup
run program doctor: SETUP = scripts/setup --run
setup: ## install the Debian packages that are missing
	@$(SETUP)

run: program ## build, and start a Debian guest to log in to; Ctrl-A x ends it
	$(BUILD)/kennel run $(ARGS) $(KERNEL) $(if $(PARAMETERS),-- $(PARAMETERS))

check: all ## build, and run every test (TESTS="NAME ..." for some)
	@meson test -C $(BUILD) --no-rebuild --print-errorlogs $(TESTS); status=$$?; scripts/results $(BUILD); exit $$status

bench: all ## measure: native, Kennel, QEMU TCG, user-mode Linux
	@scripts/setup --all
	@bench/fetch-uml $(BUILD) || :
	@bench/run

bench-ring: ARGS =
bench-ring: all ## measure buffers per second through the rings (ARGS="--peer virtio_ring_0_9=PROGRAM": next to Linux's)
	@BUILD=$(BUILD) bench/ring $(ARGS)

bench-vhost: all ## measure random reads through vhost-user, next to qemu-storage-daemon
	@scripts/setup --all
	@bench/vhost $(BUILD)

bench-work: ARGS =
bench-work: all ## measure compiling, disks and network in a Debian guest, next to QEMU TCG (GUEST=DIR; bench/workload says how to get one)
	@BUILD=$(BUILD) bench/workload $(GUEST) $(ARGS)

TIME ?= 600
fuzz: ## go on with a fuzz target from its corpus and merge what is new into it (TARGET=NAME TIME=SECONDS; docs/fuzzing.md)
	@command -v clang >/dev/null || scripts/setup --all
	@BUILD=$(BUILD) scripts/fuzz $(TARGET) $(if $(TARGET),$(TIME))

doctor: program ## look at what this host has of what Kennel needs
	@$(BUILD)/kennel doctor

install: all ## install the program, the manual page and libvirtio (DESTDIR and MESONFLAGS=--prefix=... count)
	@meson install -C $(BUILD) --no-rebuild

help: ## print this
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1	\2/p' Makefile | expand -t 12

clean: ## remove everything that was built
	@rm -rf $(BUILD)
