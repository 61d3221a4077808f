#!/bin/sh
# Holds GGUF files that `t2l convert` makes against llama.cpp: the logits of every family's directory, as
# ours gives them, must be those that llama.cpp gives for the file.
#   tests/interop/check-converted-llama-cpp.sh
# T2L_BUILDDIR: where src/t2l was built (the source by default). T2L_GOLDEN: golden data
# (../shared/golden beside the source by default). PYTHON: with numpy and llama-cpp-python.
# Exit status: 0 all fine, 1 not, 77 something that is wanted is absent.
set -u
source=${T2L_SRCDIR:-$(cd "$(dirname "$0")/../.." && pwd)}
program=${T2L_BUILDDIR:-$source}/src/t2l
golden=${T2L_GOLDEN:-$source/../shared/golden}
[ -x "$program" ] || {
	echo "check-converted-llama-cpp: $program is not built (set T2L_BUILDDIR)" >&2
	exit 77
}
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM
export T2L_DATADIR="$source/share" T2L_HOME="$work/home" XDG_CONFIG_HOME="$work/config"

# As many tokens as the smallest window has: llama.cpp has none for Mistral and Phi-3.
few=5,12,33,64,10,7,50,20
# Its GELU goes through a table of 16 bits.
plan() { # NAME DIRECTORY
	case $1 in
	gemma* | phi | demo*) tolerance=2e-3 ;;
	*) tolerance=1e-5 ;;
	esac
	# It takes the divisors of long texts by the size of its context, which is above the limit.
	tokens=$few
	[ "$1" = phi3-longrope ] && tokens=$few,31,60,11,90,2,77,44,18,25,52
	"$program" convert --quiet "$2" "$work/$1.gguf" --precision f32 >"$work/log" 2>&1 || {
		grep -q -e "cannot say this" -e "no GGUF form" "$work/log" && return
		cat "$work/log" >&2
		exit 1
	}
	"$program" score --quiet --base-model "$2" --tokens "$tokens" --precise \
		--save-logits "$work/$1.safetensors" >"$work/log" 2>&1 || {
		cat "$work/log" >&2
		exit 1
	}
	printf '%s\t%s\t-\t%s\t%s\t%s\n' "$1" "$work/$1.gguf" "$tokens" "$work/$1.safetensors" $tolerance >>"$work/plan"
}
for model in "$golden"/models/*/ "$source"/tests/golden/models/mistral-nemo/ \
	"$source"/tests/golden/models/qwen3-moe/ "$source"/share/models/demo-base/; do
	[ -f "$model/config.json" ] && plan "$(basename "$model")" "$model"
done
for scaling in linear yarn; do
	[ -f "$golden/models/llama2/config.$scaling.json" ] || continue
	mkdir "$work/llama2-$scaling" || exit 1
	cp "$golden/models/llama2/model.safetensors" "$work/llama2-$scaling/"
	cp "$golden/models/llama2/config.$scaling.json" "$work/llama2-$scaling/config.json"
	plan "llama2-$scaling" "$work/llama2-$scaling"
done
"${PYTHON:-python3}" "$source/tests/interop/peer-llama-cpp.py" "$work/plan"
