#!/bin/sh
# The workbench over catalogs that cannot be written: locked by another process, read-only, on a full disk.
. "${0%/*}/checks.sh"

hold=$T2L_BUILDDIR/tests/cli/hold-catalog

# plays STATUS SCRIPT: the workbench plays standard input and ends with this status.
plays() {
	cat >script.keys
	ends "$1" workbench --script script.keys
}

have_plural() {
	"$t2l" catalog path plural >path.out 2>&1 ||
		"$t2l" generate --quiet --task "give the plural of the word" --name plural >path.out
}

# waits_for FILE: until it is there.
waits_for() {
	for _ in $(seq 600); do
		[ ! -s "$1" ] || return 0
		sleep 0.1
	done
	echo "$1 did not come"
	return 1
}

keys_are_answered_while_another_process_writes() {
	[ -x "$hold" ] || exit 77
	have_plural
	mkfifo release
	"$hold" "$T2L_HOME/catalog.sqlite" <release >held &
	exec 3>release
	waits_for held
	cat >script.keys <<-'KEYS'
		hide-times
		key Esc a
		type plural
		key Enter
		wait-answers
		key p
		type queen
		key Enter
		wait-answers
		key Esc b 0
		key 2 /
		type plu
		wait-answers
		save-display found.txt
	KEYS
	"$t2l" workbench --script script.keys >out 2>err 3>&- &
	waits_for found.txt
	says found.txt "give the plural" "1 of 1"
	# Nothing of it is written yet, as the lock is still held; then all of it is.
	"$t2l" catalog show plural --json >before
	exec 3>&-
	wait $!
	"$t2l" catalog show plural --json >after
	same "$(field ties before)" 0
	same "$(field ties after)" 1
}

# Root may write everywhere, so it becomes nobody for this one.
a_catalog_that_is_read_only_is_told_and_nothing_is_lost() {
	T2L_HOME=$PWD/home
	mkdir home
	have_plural
	mkdir place
	unprivileged=
	if [ "$(id -u)" = 0 ]; then
		command -v setpriv >/dev/null || exit 77
		unprivileged="setpriv --reuid=65534 --regid=65534 --clear-groups"
		chown -R 65534:65534 .
		chmod 755 "$work" .
	fi
	chmod -R a-w home
	cat >place/script.keys <<-'KEYS'
		hide-times
		key Esc a
		type plural
		key Enter
		wait-idle
		key p
		type queen
		key Enter
		wait-idle
		key Esc S ^U
		type saved.jsonl
		key Enter
		wait-idle
		save-display saved.txt
		key t ^U
		type write the word backwards
		key Enter
		wait-idle
		save-display kept.txt
		key Esc 2
		wait-idle
		key D
		wait-idle
		save-display trashed.txt
	KEYS
	(cd place && $unprivileged "$t2l" version) >/dev/null 2>&1 || exit 77
	(cd place && $unprivileged "$t2l" workbench --script script.keys)
	says place/saved.txt "saved: saved.jsonl, but not in the catalog: "
	says place/saved.jsonl '"prompt":"queen"' '"adapter":"plural"'
	says place/kept.txt "not kept" "Permission denied" "draft"
	says place/trashed.txt "open for reading only" "plural"
	chmod -R u+w home
	"$t2l" catalog show plural --json >after
	says after '"name":"plural"'
}

# A file system of a megabyte that a file of the test's own fills up.
a_full_disk_is_told_and_what_was_kept_stays() {
	mkdir disk
	mount -t tmpfs -o size=1m t2l-test disk 2>/dev/null || exit 77
	trap 'umount disk' EXIT
	T2L_HOME=$PWD/disk/home
	have_plural
	cat >script.keys <<-'KEYS'
		hide-times
		key Esc a
		type plural
		key Enter
		wait-idle
		key p
		type queen
		key Enter
		wait-idle
		key Esc S ^U
		type disk/saved.jsonl
		key Enter
		wait-idle
		save-display saved.txt
		key t
		type write the word backwards
		key Enter
		wait-idle
		save-display kept.txt
	KEYS
	dd if=/dev/zero of=disk/filler bs=1k 2>/dev/null || :
	ends 0 workbench --script script.keys
	says saved.txt "cannot write 'disk/saved.jsonl'" "space"
	says kept.txt "not kept" "space" "draft"
	[ ! -e disk/saved.jsonl ]
	rm disk/filler
	ends 0 catalog verify
	ends 0 catalog show plural --json
	# With room again the same keys do all of it.
	ends 0 workbench --script script.keys
	says saved.txt "saved: disk/saved.jsonl, and comparison"
	says kept.txt "kept as write-word-backwards"
}

run_tests keys_are_answered_while_another_process_writes a_catalog_that_is_read_only_is_told_and_nothing_is_lost \
	a_full_disk_is_told_and_what_was_kept_stays
