# SPDX-License-Identifier: GPL-2.0
# uml-mm: an mm sandbox on User Mode Linux. `make help` lists the verbs.

SHELL := /bin/bash

ifneq ($(words $(CURDIR)),1)
$(error The kernel can't be built in a folder with a space in its path: $(CURDIR))
endif

VARIANT ?= default
V ?= 0
T ?=
TIMEOUT ?= 60
JOBS ?= $(shell nproc)

# Debian's own interpreter, since pytest and its plugins are packages for it.
PYTHON ?= $(if $(wildcard /usr/bin/python3),/usr/bin/python3,python3)
Q := $(if $(filter 0,$(V)),@)
tree := linux
out := $(CURDIR)/build/$(VARIANT)
rootfs := $(CURDIR)/build/rootfs
append := $(if $(findstring smp,$(VARIANT)),ncpus=2) $(APPEND)
# One run of make explore again: its seed, or a schedule of this program, up to a step
ifneq ($(findstring explore,$(VARIANT)),)
append := ncpus=$(or $(CPUS),2) $(if $(SEED)$(SCHEDULE),RACE_MS=50) $(append) \
	$(if $(STEP),explore_stop=$(STEP)) \
	$(if $(SCHEDULE),explore=0 explore_schedule=$(abspath $(SCHEDULE)),$(if $(SEED),explore=$(SEED)))
again = $(if $(SCHEDULE),$(Q)$(PYTHON) -m scripts.judge.explore --kernel $(out)/linux \
	--check '$(SCHEDULE)')
endif
# What each verb that judges writes its results to, for other programs
json := $(if $(JSON),--json '$(JSON)')
uml := $(PYTHON) -m scripts.guest.run --kernel $(out)/linux --timeout $(TIMEOUT) \
	$(if $(filter-out 0,$(V)),--verbose) --append '$(append)' $(json)

fragments := $(patsubst %,scripts/variants/%.config,$(filter-out default,$(subst +, ,$(VARIANT))))
series_args := $(if $(LINUX),--linux '$(LINUX)') \
	$(if $(LINUX_TARBALL),--tarball '$(LINUX_TARBALL)') \
	$(if $(TOPICS),--topics '$(TOPICS)') \
	$(if $(filter 1,$(FORCE)),--force) $(if $(filter 1,$(REBASE)),--rebase)

# On a miss ccache shall compile at once, not preprocess first. Then it doesn't
# see .incbin: without the files' content in its hash, it would give old objects.
export CCACHE_DEPEND := 1
incbin := %/initramfs_data.o %/stub_exe_embed.o %/configs.o

# make's built-in rules would be tried on each of a thousand Kconfig files.
MAKEFLAGS += -rR

# The kernel's make shall not take T=, M= and the like for its own.
MAKEOVERRIDES :=

# Asked when a recipe needs it, since the machine may get ccache on the way there. The
# compiler of a build folder stays what it was as long as there is one: another name of
# it would mean another build.
choose_cc := c=ccache; command -v ccache >/dev/null && ! grep -sqx gcc $(out)/.cc || c=; \
	echo $$c gcc
cc = $(eval cc := $(strip $(shell $(choose_cc))))$(cc)
kernel_cc = $(if $(findstring ccache,$(cc)),$$(if $$(filter $(incbin),$$@),,ccache ))gcc

# CONFIG_GCOV_PROFILE_ALL leaves out what runs in the host's C library, because
# its flags aren't the kernel's. (Two objects have flags of their own here.)
host_objs := $(filter-out main signal,$(basename $(notdir \
	$(wildcard linux/arch/um/os-Linux/*.c linux/arch/um/os-Linux/skas/*.c)))) fd
gcov_flags := $(if $(findstring gcov,$(VARIANT)),$(foreach o,$(sort $(host_objs)), \
	CFLAGS_$(o).o='-fprofile-arcs -ftest-coverage'))

# Nothing in the program depends on when, where or by whom it was built.
kargs := ARCH=um LOCALVERSION= KBUILD_BUILD_TIMESTAMP=1970-01-01 KBUILD_BUILD_VERSION=1 \
	KBUILD_BUILD_USER=uml-mm KBUILD_BUILD_HOST=uml-mm
kmake = $(MAKE) --no-print-directory $(j) \
	-C $(tree) O=$(out) V=$(V) $(kargs) $(gcov_flags) CC='$(kernel_cc)'

# After an edit, most of what Kbuild does can be left out; status 3 says that it
# can't. What the link needs is noted after each run of Kbuild.
fast = $(PYTHON) -m scripts.kernel.fast $(out) --key '$(kargs) $(cc)' $(if $(filter-out 0,$(V)),--verbose)
link_vars := CC|NM|SRCARCH|srctree|objtree|CONFIG_SHELL|CFLAGS_vmlinux|NOSTDINC_FLAGS
link_vars := $(link_vars)|LINUXINCLUDE|KBUILD_(LDS|VMLINUX_LIBS|CPPFLAGS|AFLAGS|AFLAGS_KERNEL)
link_env = $(MAKE) --no-print-directory -rR -C $(out) -f $(CURDIR)/linux/Makefile $(kargs) \
	CC='$(cc)' .env --eval='.env: ; @export -p | grep -E "^[a-z -]* ($(link_vars))=" >.link-env'

# A sign of life each hundred objects, then the link to the program. (mawk would wait for
# a buffer full of lines.)
progress = while read -r what _; do case $$what in CC|AS) n=$$((n + 1)); \
	[ $$((n % $(2))) -ne 0 ] || echo "  $(1): $$n $(3)";; esac; done
define build
set -o pipefail; $(fast); case $$? in 0) exit;; 3) ;; *) exit 1;; esac; \
set -e; echo '$(cc)' >$(out)/.cc; $(kmake) linux $(if $(filter 0,$(V)),| $(call progress,kernel,100,objects)); \
[ $(out)/.kconfig.d -nt $(out)/include/config/auto.conf.cmd ] || awk \
	'/^\t/ { print "$(out)/.configured: linux/" $$1 "\nlinux/" $$1 ":" } /^$$/ && NR > 2 { exit }' \
	$(out)/include/config/auto.conf.cmd >$(out)/.kconfig.d; \
$(if $(filter default,$(VARIANT)),[ -L linux/linux ] || ln -s ../build/default/linux linux/linux;) \
ln -f $(out)/vmlinux.unstripped $(out)/linux; $(link_env); $(fast) --record
endef

# Next to the program, where gdb looks for what to load with it.
autoload = $(Q)[ -L $(out)/linux-gdb.py ] || \
	ln -s ../../scripts/gdb/linux-gdb.py $(out)/linux-gdb.py

# What is made for a verb is made side by side: the configuration, the guest's files. Only a
# recipe sees whether the make around it has given a -j, so this is expanded there.
j = $(if $(findstring -j,$(MAKEFLAGS)),,-j$(JOBS))

# One build at a time in a clone; guests may run side by side.
lock = mkdir -p build && exec 9>build/.lock && { flock -n 9 || \
	{ echo "uml-mm: waiting for another make in this clone" >&2; flock 9; }; }

# Guests side by side, where pytest has the plugin for it (which may have been installed
# just before): one for each CPU, and one more, since some tests wait most of their time.
xdist := $$($(PYTHON) -c 'import xdist; print("-n%d" % ($(JOBS) + 1))' 2>/dev/null)

.DEFAULT_GOAL := run
.PHONY: run test watch stress explore coverage selftests list shell gdb trace pagemap bench mutants linux \
	patches rebase check-series kernel deps fresh clean distclean help

## Run
run:		## build, run the tests T="name glob ..." (all for none; changed: see coverage) JSON=<file>
ifeq ($(T),)
	+$(Q)$(lock); $(MAKE) --no-print-directory $(j) _embed 9>&-
	$(Q)$(uml) --embedded
else
	+$(Q)$(lock); $(MAKE) --no-print-directory $(j) _kernel 9>&-
	$(again)
	$(Q)$(uml) $(foreach t,$(T),'$(t)')
endif

watch:		## at each save in linux/ or rootfs/ the same again, until Ctrl-C
	+$(Q)$(PYTHON) -m scripts.guest.watch $(MAKE) --no-print-directory run 'T=$(or $(T),*)'

test:		## pass every test of this project; JUNIT=<file> writes a report
	+$(Q)$(lock); $(MAKE) --no-print-directory $(j) _embed 9>&-
	$(Q)$(PYTHON) -m pytest tests -q -p no:cacheprovider --kernel=$(out)/linux $(xdist) \
		$(if $(JUNIT),'--junitxml=$(JUNIT)') $(PYTEST)

selftests:	## the kernel's own selftests/mm: T="category program ..." RECORD=1
	+$(Q)$(lock); $(MAKE) --no-print-directory _selftests 9>&-
	$(Q)$(PYTHON) -m scripts.judge.selftests --kernel $(out)/linux --modules $(out)/modules \
		--append '$(append)' $(if $(filter-out 0,$(V)),--verbose) \
		$(if $(filter 1,$(RECORD)),--record) $(json) -- $(foreach t,$(T),'$(t)')

list: kernel	## the names of the tests
	$(Q)$(uml) list

shell: kernel	## a shell inside the guest
	$(Q)$(uml) --shell

gdb: $(if $(ATTACH),,kernel)	## T=<test> under gdb, stopped at BREAK=<place>; ATTACH=1: what runs
	$(again)
	$(Q)$(uml) $(if $(ATTACH),--attach '$(ATTACH)',--gdb \
		$(if $(BREAK)$(STEP),'$(or $(BREAK),explore_stopped)')) \
		-- $(foreach t,$(T),'$(t)')

trace: kernel	## T=<test>: who moved its references, how it was mapped, as text and SVG
	$(again)
	$(Q)$(PYTHON) -m scripts.pictures.trace --kernel $(out)/linux --append '$(append)' -- '$(T)'

pagemap: kernel	## T=<test>: guest memory before and after it, by use and order (SVG)
	$(Q)$(PYTHON) -m scripts.pictures.pagemap --kernel $(out)/linux --append '$(append)' -- '$(T)'

# What measures `make` needs no kernel of its own.
bench: $(if $(filter first,$(B)),,kernel)	## faults; B=first, loop, flush, huge-zero, pte-ref, hvo, team, tail-refs, allocators, threads, explore; ROUNDS=<n>
	$(Q)$(PYTHON) -m scripts.measure.bench --kernel $(out)/linux $(B) \
		$(if $(AGAINST),--against '$(AGAINST)') $(if $(ROUNDS),--rounds '$(ROUNDS)')

coverage: covered := $(if $(findstring gcov,$(VARIANT)),$(VARIANT),gcov)
coverage:	## the series' lines that no test executes; T=changed runs tests by it
	+$(Q)$(lock); $(MAKE) --no-print-directory $(j) _embed VARIANT=$(covered) 9>&-
	$(Q)$(PYTHON) -m scripts.judge.coverage --kernel build/$(covered)/linux $(json)

stress: kernel	## tests in parallel, starved and killed at random: MINUTES=<n> SEED=<n>
	$(Q)$(PYTHON) -m scripts.judge.stress --kernel $(out)/linux --append '$(append)' \
		$(if $(MINUTES),--minutes '$(MINUTES)') $(if $(SEED),--seed '$(SEED)') $(json)

explore: explored := $(if $(findstring explore,$(VARIANT)),$(VARIANT),explore)
explore:	## T="..." with virtual CPUs by seeds: SEEDS=<n> SEED=<first> STRATEGY=pct DEPTH=<d> CPUS=<n>
	+$(Q)$(lock); $(MAKE) --no-print-directory $(j) _kernel VARIANT=$(explored) 9>&-
	$(Q)$(PYTHON) -m scripts.judge.explore --kernel build/$(explored)/linux \
		--append '$(APPEND)' $(if $(SEEDS),--seeds '$(SEEDS)') $(if $(SEED),--seed '$(SEED)') \
		$(if $(STRATEGY),--strategy '$(STRATEGY)') $(if $(DEPTH),--depth '$(DEPTH)') \
		$(if $(CPUS),--cpus '$(CPUS)') $(json) -- $(foreach t,$(T),'$(t)')

mutants:	## prove that the tests catch M="name glob ..."; AUTO=<n|all> SEED= TOPIC=, T=changed: a machine's
ifneq ($(AUTO)$(T),)
	+$(Q)$(lock); $(MAKE) --no-print-directory $(j) _kernel 9>&-
	$(Q)$(PYTHON) -m scripts.judge.automutants --kernel $(out)/linux --append '$(append)' \
		--count '$(or $(AUTO),all)' $(if $(SEED),--seed '$(SEED)') \
		$(if $(SECONDS),--seconds '$(SECONDS)') $(json) '$(or $(T),$(TOPIC))'
else
	+$(Q)$(lock); $(MAKE) --no-print-directory $(j) _rootfs 9>&-
	$(Q)$(PYTHON) -m scripts.judge.mutants $(json) $(foreach m,$(M),'$(m)')
endif

## Change the kernel
linux:		## make linux/ from patches/ (LINUX=<git tree> LINUX_TARBALL=<file> TOPICS="...")
	+$(Q)$(lock); $(MAKE) --no-print-directory _linux 9>&-

patches:	## write linux/'s commits to patches/ (TOPIC=<folder> of new ones)
	$(Q)$(lock); $(PYTHON) -m scripts.series.series export $(if $(TOPIC),--topic '$(TOPIC)') 9>&-

rebase: build/.deps	## put the series on another kernel: BASE=<package version|tarball|git tree>
	$(Q)$(lock); $(PYTHON) -m scripts.series.series rebase $(if $(BASE),'$(BASE)') 9>&-

check-series:	## every patch applies, builds, boots and passes checkpatch --strict; FROM=<patch>
	+$(Q)$(lock); $(MAKE) --no-print-directory $(j) _rootfs 9>&-
	$(Q)$(PYTHON) -m scripts.judge.check_series $(json) $(if $(FROM),--from '$(FROM)')

## Build
kernel:		## build it; VARIANT=smp+kasan and the like, see scripts/variants
	+$(Q)$(lock); $(MAKE) --no-print-directory $(j) _kernel 9>&-

deps:		## install the Debian packages that are needed, or name them
	$(Q)scripts/deps

fresh:		## prove make, make test on bare Debians: SUITE="trixie ..." AS=root|sandbox
	$(Q)$(PYTHON) -m scripts.judge.fresh $(if $(AS),--user '$(AS)') $(FRESH) $(SUITE)

clean:		## delete build/
	rm -rf build

distclean:	## delete build/ and linux/; FORCE=1 even with your edits in it
	$(Q)$(PYTHON) -m scripts.series.series remove $(if $(filter 1,$(FORCE)),--force)
	rm -rf build

help:		## this list
	$(Q)sed -n 's/^## \(.*\)/\n\1/p; s/^\([a-z-]*\):[^#]*##/  \1\t/p' Makefile | expand -t 16

# ---- behind the verbs, under the lock

# Asked again when something that was found is gone.
-include build/.deps.d build/.deps-selftests.d

build/.deps: scripts/deps
	$(Q)mkdir -p build && scripts/deps '' $@.d && touch $@

# When patches/ hasn't changed, not even git is asked.
build/.series: patches/BASE $(wildcard patches/series patches/*/*.patch) \
		$(if $(wildcard linux/Makefile),$(if $(LINUX)$(LINUX_TARBALL)$(TOPICS),FORCE),FORCE) \
		| build/.deps
	$(Q)$(PYTHON) -m scripts.series.series apply $(series_args)
	$(Q)touch $@

_linux: build/.deps
	$(Q)$(PYTHON) -m scripts.series.series apply $(series_args)
	$(Q)touch build/.series

# A changed Kconfig file means to configure anew: the kernel's make would ask.
-include $(out)/.kconfig.d

$(out)/.configured: .config.uml scripts/kernel/config.py $(fragments) | build/.series
	$(Q)$(PYTHON) -m scripts.kernel.config $(out) --variant $(VARIANT) --initramfs $(out)/rootfs.cpio
	$(Q)touch $@

_rootfs: build/.series
	+$(Q)$(MAKE) --no-print-directory -C rootfs V=$(V) LINUX=$(CURDIR)/linux O=$(rootfs)

# The guest's root is the folder build/rootfs: a changed test needs no new
# kernel, and what the kernel embeds may be older.
_kernel: $(out)/.configured _rootfs
	$(Q)[ -e $(out)/rootfs.cpio ] || cp $(rootfs).cpio $(out)/rootfs.cpio
	+$(Q)$(build)
	$(autoload)

_embed: $(out)/.configured _rootfs
	$(Q)cmp -s $(rootfs).cpio $(out)/rootfs.cpio || cp $(rootfs).cpio $(out)/rootfs.cpio
	+$(Q)$(build)
	$(autoload)

mm := tools/testing/selftests/mm
selftests := $(CURDIR)/build/selftests

build/.deps-selftests: scripts/deps | build/.deps
	$(Q)scripts/deps selftests $@.d && touch $@

# For the guest's modprobe, a folder as /lib/modules is one.
_modules: quietly := $(if $(filter 0,$(V)),>/dev/null)
_modules: _kernel
	+$(Q)$(kmake) modules $(quietly)
	+$(Q)$(kmake) M=$(CURDIR)/linux/$(mm)/page_frag MO=$(out)/page_frag modules $(quietly)
	+$(Q)[ -e $(out)/modules/page_frag_test.ko ] && [ -z "$$(find $(out)/lib $(out)/page_frag \
		-name '*.ko' -newer $(out)/modules/page_frag_test.ko)" ] || { \
		$(kmake) INSTALL_MOD_PATH=$(out)/modules modules_install $(quietly) && \
		cp $(out)/page_frag/page_frag_test.ko $(out)/modules; }

# Their Makefile writes next to itself, so they are built in a folder of links to
# linux/. UML's headers can't be exported; x86's are the same. LINK.c and COMPILE.S
# are what -rR takes away.
_selftests: build/.deps-selftests _modules
	+$(Q)$(MAKE) -s --no-print-directory -C linux ARCH=x86 O=$(selftests)/headers headers
	$(Q)mkdir -p $(selftests)/bin $(selftests)/src/$(mm)
	$(Q)for dir in .:tools tools:testing tools/testing:selftests $(dir $(mm)):mm $(mm):; do \
		find $(CURDIR)/linux/$${dir%:*}/ -mindepth 1 -maxdepth 1 ! -name '.*' \
		! -name "$${dir#*:}" -exec ln -sfn -t $(selftests)/src/$${dir%:*} {} + || exit; done
	+$(Q)set -o pipefail; export TMPDIR=$(selftests); \
		$(MAKE) --no-print-directory -C $(selftests)/src/$(mm) ARCH=x86_64 \
		LINK.c='$$(CC) $$(CFLAGS) $$(CPPFLAGS) $$(LDFLAGS)' COMPILE.S='$$(CC) $$(ASFLAGS) -c' \
		V=$(V) CC="$(cc)" CAN_BUILD_I386=0 KDIR=/nonexistent OUTPUT=$(selftests)/bin \
		KHDR_INCLUDES='-isystem $(selftests)/headers/usr/include' \
		$(if $(filter 0,$(V)),| { $(call progress,selftests,10,programs); })

# Nothing but Kbuild, for config.make_kernel(), which gives tree=, out= and targets=
_kbuild:
	+$(Q)$(kmake) $(targets)

unexport tree out targets

.PHONY: _linux _rootfs _kernel _embed _modules _selftests _kbuild FORCE
.DELETE_ON_ERROR:
