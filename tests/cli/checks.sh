# checks.sh - what the command line's tests share: a home of their own, checks, and a line for each test.
#
# A test is a shell function; run_tests runs each in a subshell under set -e, inside a folder of its
# own, and prints the lines that cmocka's programs print, so that tests/summary counts both alike.
# shellcheck shell=sh

: "${T2L_SRCDIR:?run by make check}" "${T2L_BUILDDIR:?run by make check}"
t2l=$T2L_BUILDDIR/src/t2l
T2L_DATADIR=$T2L_SRCDIR/share
work=$(mktemp -d)
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT
T2L_HOME=$work/home
XDG_CONFIG_HOME=$work/config
HOME=$work
export T2L_DATADIR T2L_HOME XDG_CONFIG_HOME HOME
LC_ALL=C
export LC_ALL
mkdir -p "$T2L_HOME" "$XDG_CONFIG_HOME"

if [ ! -f "$T2L_DATADIR/models/demo-base/model.safetensors" ]; then
	echo "the demo's models are not there"
	exit 77
fi

# says FILE TEXT...: the file holds each of these texts.
says() {
	said=$1
	shift
	for text in "$@"; do
		grep -qF -e "$text" "$said" || {
			echo "'$text' is not in $said:"
			head -c 4000 "$said"
			return 1
		}
	done
}

# lacks FILE TEXT: the file does not hold this text.
lacks() {
	if grep -qF -e "$2" "$1"; then
		echo "'$2' is in $1:"
		head -c 4000 "$1"
		return 1
	fi
}

# lines FILE N: the file has N lines.
lines() {
	[ "$(wc -l <"$1")" -eq "$2" ] || {
		echo "$1 has not $2 lines:"
		head -c 4000 "$1"
		return 1
	}
}

# field NAME FILE: a text or number of each line of JSON.
field() {
	sed -n "s/.*\"$1\":\"\{0,1\}\([^\",}]*\).*/\1/p" "$2"
}

same() {
	[ "$1" = "$2" ] || {
		echo "'$1' is not '$2'"
		return 1
	}
}

# ends STATUS COMMAND...: the program ends with this status; what it said is in out and err.
ends() {
	wanted=$1
	shift
	ended=0
	"$t2l" "$@" >out 2>err </dev/null || ended=$?
	[ "$ended" -eq "$wanted" ] || {
		echo "t2l $* ended with $ended, not $wanted:"
		head -c 4000 out err
		return 1
	}
}

run_tests() {
	failed=0
	for name in "$@"; do
		echo "[ RUN      ] $name"
		mkdir -p "$work/$name"
		# Not "(...) || status=$?": that would turn set -e off inside.
		(
			set -ex
			cd "$work/$name"
			"$name"
		) >"$work/log" 2>&1
		status=$?
		if [ "$status" -eq 0 ]; then
			echo "[       OK ] $name"
		elif [ "$status" -eq 77 ]; then
			tail -n 3 "$work/log"
			echo "[  SKIPPED ] $name"
		else
			tail -n 40 "$work/log"
			echo "[  FAILED  ] $name"
			failed=1
		fi
	done
	exit "$failed"
}
