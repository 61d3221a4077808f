#!/bin/sh
# ./quickstart on machines that this one is not: packages missing, root or not, without sudo, without apt-get.
# The tools of the system are stand-ins that note how they were called; the project is a stub that builds in no time.
. "${0%/*}/checks.sh"

# tool NAME: a stand-in whose body is standard input; it notes its call first.
tool() {
	{
		printf '#!/bin/sh\necho "%s $*" >>"%s/calls"\n' "$1" "$PWD"
		cat
	} >"bin/$1"
	chmod +x "bin/$1"
}

# A machine with what any system has, a project of one target, and a package manager that has it all.
machine() {
	mkdir -p bin project/tests
	for name in sh env cat echo grep sed dirname basename mkdir mktemp rm sort tail head find make printf chmod expr; do
		path=$(command -v "$name") || continue
		case $path in /*) ln -sf "$path" "bin/$name" ;; esac
	done
	: >calls
	cp "$T2L_SRCDIR/quickstart" "$T2L_SRCDIR/tests/summary" project/
	mv project/summary project/tests/summary
	: >project/configure.ac
	cat >project/configure <<-'STUB'
		#!/bin/sh
		echo "configure $*" >>"$CALLS"
		mkdir -p src tests
		printf '#!/bin/sh\necho "t2l $*" >>"$CALLS"\n' >src/t2l
		chmod +x src/t2l
		printf '[       OK ] something_holds\n' >tests/test-stub.log
		printf ':global-test-result: PASS\n' >tests/test-stub.trs
		printf 'all:\n\t@echo make all >>"$$CALLS"\ncheck:\n\t@echo make check >>"$$CALLS"\n\t@exit $${BROKEN:-0}\n' >Makefile
	STUB
	chmod +x project/configure
	tool nproc <<-'STUB'
		echo 2
	STUB
	tool id <<-'STUB'
		echo "${FAKE_UID:-0}"
	STUB
	tool dpkg-query <<-'STUB'
		for package; do :; done
		case " $MISSING " in
		*" $package "*) exit 1 ;;
		esac
		echo 'install ok installed'
	STUB
	tool apt-get <<-'STUB'
		exit ${APT_STATUS:-0}
	STUB
	tool sudo <<-'STUB'
		FAKE_UID=0 "$@"
	STUB
}

# starts STATUS [ARGUMENT] with VARIABLE=VALUE... from the environment: the script ends so; what it said is in said.
starts() {
	wanted=$1
	shift
	ended=0
	env -i PATH="$PWD/bin" HOME="$PWD" CALLS="$PWD/calls" MISSING="${MISSING:-}" FAKE_UID="${FAKE_UID:-0}" \
		APT_STATUS="${APT_STATUS:-0}" BROKEN="${BROKEN:-0}" project/quickstart "$@" >said 2>&1 </dev/null || ended=$?
	cat said
	same "$ended" "$wanted"
}

nothing_missing_installs_nothing_and_shows_the_loop() {
	machine
	starts 0
	lacks calls apt-get
	lacks calls sudo
	says calls "make all" "t2l generate" "t2l compare" "t2l merge" "t2l export"
	says said "--task 'translate the English word to Spanish'"
}

root_installs_what_is_missing_and_only_that() {
	machine
	MISSING="nettle-dev zlib1g-dev"
	starts 0
	lacks calls sudo
	says calls "apt-get update" "apt-get install -y -qq --no-install-recommends nettle-dev zlib1g-dev"
	says said "installing nettle-dev zlib1g-dev"
	same "$(grep -c 'apt-get install' calls)" 1
}

others_ask_sudo_and_say_so() {
	machine
	FAKE_UID=1000 MISSING=libyaml-dev
	starts 0
	says calls "sudo env DEBIAN_FRONTEND=noninteractive apt-get update" \
		"sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends libyaml-dev"
	says said "installing with sudo, which may ask for your password: libyaml-dev"
}

sudo_is_left_alone_when_nothing_is_missing() {
	machine
	FAKE_UID=1000
	starts 0
	lacks calls sudo
}

without_sudo_the_packages_are_named() {
	machine
	rm bin/sudo
	FAKE_UID=1000 MISSING="gcc libyaml-dev"
	starts 1
	lacks calls apt-get
	lacks calls "make all"
	says said "there is no sudo" "gcc libyaml-dev"
}

a_failed_installation_is_told_and_nothing_is_built() {
	machine
	MISSING=libyaml-dev APT_STATUS=100
	starts 1
	says said "apt-get could not install" "libyaml-dev"
	lacks calls "make all"
}

another_system_builds_with_what_it_has() {
	machine
	rm bin/apt-get bin/dpkg-query
	starts 0
	says said "no apt-get here" "libyaml-dev"
	says calls "make all"
}

the_second_time_nothing_is_configured_again() {
	machine
	starts 0
	starts 0
	same "$(grep -c '^configure' calls)" 1
	same "$(grep -c '^make all' calls)" 2
}

check_runs_the_tests_and_tells_of_a_failure() {
	machine
	starts 0 check
	says calls "make check"
	lacks calls "t2l generate"
	says said "1 passed, 0 failed, 0 skipped"
	BROKEN=1
	starts 2 check
}

another_word_is_refused() {
	machine
	starts 1 chekc
	says said "usage: ./quickstart [check]"
	lacks calls "make all"
}

run_tests nothing_missing_installs_nothing_and_shows_the_loop root_installs_what_is_missing_and_only_that \
	others_ask_sudo_and_say_so sudo_is_left_alone_when_nothing_is_missing without_sudo_the_packages_are_named \
	a_failed_installation_is_told_and_nothing_is_built another_system_builds_with_what_it_has \
	the_second_time_nothing_is_configured_again check_runs_the_tests_and_tells_of_a_failure another_word_is_refused
