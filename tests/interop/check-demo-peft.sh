#!/bin/sh
# Holds the demo against transformers and PEFT: share/models/demo-base loads as it is, an adapter
# made from a sentence and exported as PEFT loads on it, and both give the logits that
# `t2l score --precise` writes.
#   tests/interop/check-demo-peft.sh [SENTENCE]
# T2L_BUILDDIR: where src/t2l was built (the source by default). T2L_INTEROP: the folder with
# check_hf.py and check_peft.py (../shared/interop beside the source by default). PYTHON: with torch,
# transformers, peft. Exit status: 0 equal, 1 not, 77 something that is wanted is absent.
set -u
source=${T2L_SRCDIR:-$(cd "$(dirname "$0")/../.." && pwd)}
program=${T2L_BUILDDIR:-$source}/src/t2l
checks=${T2L_INTEROP:-$source/../shared/interop}
python=${PYTHON:-python3}
base=$source/share/models/demo-base
sentence=${1:-translate the English word to Spanish, in capital letters}
tolerance=1e-4

absent() {
	echo "check-demo-peft: $1" >&2
	exit 77
}
[ -x "$program" ] || absent "$program is not built (set T2L_BUILDDIR)"
[ -r "$checks/check_peft.py" ] || absent "no $checks/check_peft.py (set T2L_INTEROP)"
"$python" -c 'import torch, transformers, peft, safetensors' 2>/dev/null ||
	absent "$python lacks torch, transformers, peft or safetensors (set PYTHON)"

work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT INT TERM
export T2L_DATADIR="$source/share" T2L_HOME="$work/home" XDG_CONFIG_HOME="$work/config"

# The prompt in the base's own form, as ids, so that both sides read the same tokens.
tokens=$("$program" tokenize --base-model "$base" --text 'house>CASA' --json |
	"$python" -c 'import json, sys; print(",".join(map(str, json.loads(sys.stdin.readline())["ids"])))') &&
	"$program" generate --quiet --task "$sentence" --output "$work/adapter.safetensors" >"$work/log" &&
	"$program" export --quiet --adapter "$work/adapter.safetensors" --format peft \
		--output "$work/peft" >>"$work/log" &&
	"$program" score --quiet --base-model "$base" --tokens "$tokens" --precise \
		--save-logits "$work/base.safetensors" >>"$work/log" &&
	"$program" score --quiet --base-model "$base" --adapter "$work/adapter.safetensors" \
		--tokens "$tokens" --precise --save-logits "$work/adapted.safetensors" >>"$work/log" || exit 1

# Without the adapter the logits must be others: else equal logits would say nothing.
if cmp -s "$work/base.safetensors" "$work/adapted.safetensors"; then
	echo "check-demo-peft: the adapter changes nothing" >&2
	exit 1
fi

# check NAME COMMAND...: runs a check and prints what matters of its JSON.
failed=0
check() {
	name=$1
	shift
	"$@" >"$work/result" 2>"$work/errors" || failed=1
	"$python" - "$name" "$work/result" <<'END' || { cat "$work/errors" >&2; failed=1; }
import json, sys
result = json.loads(open(sys.argv[2]).read().splitlines()[-1])
keep = ("error", "lora_modules", "scales", "max_abs_diff", "ok")
print(json.dumps({"check": sys.argv[1], **{k: result[k] for k in keep if k in result}}))
sys.exit(result.get("ok") is not True)
END
}
check base "$python" "$checks/check_hf.py" "$base" --tokens "$tokens" \
	--expect "$work/base.safetensors" --tol $tolerance
check peft "$python" "$checks/check_peft.py" "$base" "$work/peft" --tokens "$tokens" \
	--expect "$work/adapted.safetensors" --tol $tolerance
exit $failed
