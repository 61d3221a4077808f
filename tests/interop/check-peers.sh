#!/bin/sh
# Holds adapters in GGUF and MLX form against the programs that they are for: llama.cpp (through the
# Python package llama-cpp-python) and mlx-lm. Each is skipped by name when it cannot be imported.
#   tests/interop/check-peers.sh
# T2L_BUILDDIR: where src/t2l was built (the source by default). PYTHON: with llama-cpp-python, mlx-lm.
# Exit status: 0 what was there is fine, 1 not, 77 neither is there.
set -u
source=${T2L_SRCDIR:-$(cd "$(dirname "$0")/../.." && pwd)}
program=${T2L_BUILDDIR:-$source}/src/t2l
python=${PYTHON:-python3}
golden=$source/tests/golden
demo=$source/share/models/demo-base
tokens=1,5,9,2,17,30,44,8

[ -x "$program" ] || { echo "check-peers: $program is not built (set T2L_BUILDDIR)" >&2; exit 77; }
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM
export T2L_DATADIR="$source/share" T2L_HOME="$work/home" XDG_CONFIG_HOME="$work/config"
failed=0 held=0

# run COMMAND...: of ours; what it says is shown when it fails.
run() {
	command=$1
	shift
	"$program" "$command" --quiet "$@" >"$work/log" 2>&1 || {
		echo "check-peers: t2l $command $*" >&2
		cat "$work/log" >&2
		failed=1
		return 1
	}
}

logits() { # FILE BASE [OPTIONS...]
	file=$1 model=$2
	shift 2
	run score --base-model "$model" --tokens "$tokens" --precise --save-logits "$work/$file" "$@"
}

# plan NAME BASE LORA|- LOGITS TOLERANCE
plan() {
	printf '%s\t%s\t%s\t%s\t%s\t%s\n' "$1" "$2" "$3" "$tokens" "$work/$4" "$5" >>"$work/plan"
}

# verdict STATUS NAME
verdict() {
	case $1 in
	0) held=1 ;;
	77) echo "check-peers: $2 skipped" >&2 ;;
	*) held=1 failed=1 ;;
	esac
}

sentence="write the plural of the word"
run generate --task "$sentence" --output "$work/demo.safetensors"

# ---- llama.cpp: a base in GGUF, a LoRA of ours, base + LoRA, all bases' own types ----

if "$python" -c 'import llama_cpp' 2>/dev/null; then
	llama=$golden/models/gguf/llama2-f16.gguf
	adapter=$golden/merge/inputs/a1
	logits base.safetensors "$llama" && plan base "$llama" - base.safetensors 5e-3
	logits a1.safetensors "$llama" --adapter "$adapter" &&
		for precision in fp32 fp16 bf16; do
			run export --adapter "$adapter" --format gguf --base-model "$llama" --precision $precision \
				--output "$work/a1-$precision.gguf" &&
				plan "lora-$precision" "$llama" "$work/a1-$precision.gguf" a1.safetensors 1e-2
		done
	# Different scales in the modules: they go into B.
	run merge --adapters "$adapter" "$golden/merge/inputs/a2" --merge-strategy cat --output "$work/cat.safetensors" &&
		run export --adapter "$work/cat.safetensors" --format gguf --base-model "$llama" --output "$work/cat.gguf" &&
		logits cat.safetensors.logits "$llama" --adapter "$work/cat.safetensors" &&
		plan lora-of-a-merge "$llama" "$work/cat.gguf" cat.safetensors.logits 1e-2
	run export --adapter "$adapter" --format merged --base-model "$llama" --output "$work/merged.gguf" &&
		plan merged-gguf "$work/merged.gguf" - a1.safetensors 1e-2
	# The same base as an HF directory becomes a GGUF file on the way.
	run export --adapter "$adapter" --format merged --base-model "$golden/models/llama2" \
		--output "$work/from-hf.gguf" && plan merged-gguf-of-hf "$work/from-hf.gguf" - a1.safetensors 1e-2
	run export --adapter "$adapter" --format ollama --base-model "$llama" --output "$work/ollama" &&
		plan ollama-adapter "$llama" "$work/ollama/adapter.gguf" a1.safetensors 1e-2
	# The demo from a sentence on: base and adapter by our own converters, logits of the HF base.
	run convert "$demo" "$work/demo.gguf" &&
		run export --adapter "$work/demo.safetensors" --format gguf --base-model "$demo" --output "$work/demo-lora.gguf" &&
		logits demo-hf.safetensors "$demo" --adapter "$work/demo.safetensors" &&
		plan demo "$work/demo.gguf" "$work/demo-lora.gguf" demo-hf.safetensors 1e-2
	# Experts: one tensor of a layer's four. llama.cpp rounds what meets q8_0 to q8_0.
	moe=$golden/models/gguf/mixtral-q8_0.gguf experts=
	for expert in 0 1 2 3; do
		for matrix in w1 w2 w3; do
			experts="$experts model.layers.1.block_sparse_moe.experts.$expert.$matrix:64:64"
		done
	done
	"$python" "$source/tests/interop/make-random-adapter.py" "$work/experts" 4 6 5 $experts \
		model.layers.0.self_attn.q_proj:64:64 model.layers.1.self_attn.v_proj:64:32 &&
		run export --adapter "$work/experts" --format gguf --base-model "$moe" --output "$work/experts.gguf" &&
		logits moe.safetensors "$moe" --adapter "$work/experts" &&
		plan lora-of-experts "$moe" "$work/experts.gguf" moe.safetensors 3e-2
	PYTHONDONTWRITEBYTECODE=1 "$python" "$source/tests/interop/peer-llama-cpp.py" "$work/plan"
	verdict $? llama.cpp
else
	verdict 77 llama.cpp
fi

# ---- mlx-lm: an adapter of ours there, one of its own here ----

if "$python" -c 'import mlx_lm' 2>/dev/null; then
	run export --adapter "$work/demo.safetensors" --format mlx --output "$work/mlx" &&
		logits demo.safetensors.logits "$demo" --adapter "$work/demo.safetensors" && {
		mv "$work/demo.safetensors.logits" "$work/demo-logits.safetensors"
		"$python" "$source/tests/interop/peer-mlx.py" read "$demo" "$work/mlx" "$tokens" \
			"$work/demo-logits.safetensors" 1e-3
		verdict $? mlx-lm
	}
	"$python" "$source/tests/interop/peer-mlx.py" write "$demo" "$work/theirs" "$tokens" "$work/theirs.safetensors"
	verdict $? mlx-lm
	if [ -e "$work/theirs.safetensors" ]; then
		logits ours.safetensors "$demo" --adapter "$work/theirs"
		"$python" "$source/tests/interop/peer-mlx.py" compare "$work/theirs.safetensors" "$work/ours.safetensors" - - 1e-3
		verdict $? mlx-lm
	fi
else
	verdict 77 mlx-lm
fi

[ $failed -eq 0 ] || exit 1
[ $held -eq 1 ] || exit 77
