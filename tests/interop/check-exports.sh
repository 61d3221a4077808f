#!/bin/sh
# Holds exports against the programs that read them: PEFT and transformers (logits), the gguf package
# and an independent reader of GGML v1, on the adapters of golden/export.
#   tests/interop/check-exports.sh
# T2L_BUILDDIR: where src/t2l was built (the source by default). T2L_INTEROP: the folder with
# check_*.py, T2L_GOLDEN: golden data (../shared/interop and ../shared/golden beside the source by
# default). PYTHON: with torch, transformers, peft, safetensors; gguf is wanted for the GGUF checks.
# Exit status: 0 all fine, 1 not, 77 something that is wanted is absent.
set -u
source=${T2L_SRCDIR:-$(cd "$(dirname "$0")/../.." && pwd)}
program=${T2L_BUILDDIR:-$source}/src/t2l
checks=${T2L_INTEROP:-$source/../shared/interop}
golden=${T2L_GOLDEN:-$source/../shared/golden}/export
python=${PYTHON:-python3}
base=$golden/base-llama

absent() {
	echo "check-exports: $1" >&2
	exit 77
}
[ -x "$program" ] || absent "$program is not built (set T2L_BUILDDIR)"
[ -r "$checks/check_peft.py" ] || absent "no $checks/check_peft.py (set T2L_INTEROP)"
[ -r "$base/model.safetensors" ] || absent "no $base/model.safetensors (set T2L_GOLDEN)"
"$python" -c 'import torch, transformers, peft, safetensors' 2>/dev/null ||
	absent "$python lacks torch, transformers, peft or safetensors (set PYTHON)"

work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM
export T2L_DATADIR="$source/share" T2L_HOME="$work/home" XDG_CONFIG_HOME="$work/config"
failed=0

# export NAME ADAPTER OPTIONS...: writes $work/NAME.
export_as() {
	name=$1 adapter=$2
	shift 2
	"$program" export --quiet --adapter "$golden/peft/$adapter" --output "$work/$name" "$@" >"$work/log" 2>&1 || {
		cat "$work/log" >&2
		failed=1
	}
}

# check NAME SCRIPT ARGUMENTS...: plans a check; all run in one Python, which loads torch once.
check() {
	name=$1 script=$2
	shift 2
	printf '%s\t%s' "$name" "$checks/$script" >>"$work/plan"
	printf '\t%s' "$@" >>"$work/plan"
	echo >>"$work/plan"
}

peft() { # NAME ADAPTER TOLERANCE OPTIONS...
	name=$1 adapter=$2 tolerance=$3
	shift 3
	export_as "$name" "$adapter" --format peft "$@"
	check "$name" check_peft.py "$base" "$work/$name" \
		--expect "$golden/peft/$adapter/golden.safetensors" --tol "$tolerance"
}
for adapter in qv-r8 all-rslora qv-bf16 qkvo-fp16 patterns; do
	peft "peft-$adapter" $adapter 1e-4
done
peft peft-inference all-rslora 1e-4 --optimize-for-inference
peft peft-fp16 qv-r8 1e-2 --precision fp16
peft peft-bf16 qv-r8 5e-2 --precision bf16
peft peft-int8 qv-r8 1e-1 --precision int8

export_as hf qv-r8 --format hf --base-model "$base" --generate-model-card --task-description "Translate"
check hf check_hf.py "$work/hf" --expect "$golden/peft/qv-r8/golden.safetensors"
export_as hf-only qv-r8 --format hf --base-model "$base" --adapter-only --target-model "$base"
check hf-adapter-only check_hf.py "$work/hf-only" --expect "$golden/peft/qv-r8/golden.safetensors"

for precision in fp32 fp16 int8 q4_0; do
	export_as $precision.ggml qv-r8 --format ggml --precision $precision --base-model "$base"
	check ggml-$precision check_ggml.py "$work/$precision.ggml" \
		--expect "$golden/ggml/qv-r8.$precision.expected.safetensors" --tol 1e-6
done

if "$python" -c 'import gguf' 2>/dev/null; then
	for adapter in qv-r8 all-rslora qkvo-fp16; do
		export_as $adapter.gguf $adapter --format gguf --base-model "$base"
		check gguf-$adapter check_gguf_lora.py "$work/$adapter.gguf" \
			--peft "$golden/peft/$adapter" --heads 4 --kv-heads 2
	done
	export_as q8.gguf qv-r8 --format gguf --base-model "$base" --precision int8
	check gguf-int8 check_gguf_lora.py "$work/q8.gguf" \
		--peft "$golden/peft/qv-r8" --heads 4 --kv-heads 2 --tol 2e-2
else
	echo "check-exports: $python has no gguf; GGUF was not checked" >&2
fi

"$python" - "$work/plan" <<'END' || failed=1
import contextlib, io, json, runpy, sys
keep = ("error", "lora_modules", "lora_tensors", "max_abs_diff", "max_relative_diff", "compared_with_peft", "complaints",
        "names_differ", "ok", "files_missing_of_the_seven")
failed = 0
for line in open(sys.argv[1]):
    name, *sys.argv = line.rstrip("\n").split("\t")
    said, status = io.StringIO(), 0
    with contextlib.redirect_stdout(said):
        try:
            runpy.run_path(sys.argv[0], run_name="__main__")
        except SystemExit as end:
            status = end.code or 0
    result = json.loads(said.getvalue())
    print(json.dumps({"check": name, "status": status, **{k: result[k] for k in keep if k in result}}), flush=True)
    failed |= status != 0
sys.exit(failed)
END
exit $failed
