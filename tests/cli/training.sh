#!/bin/sh
# training.sh - fine-tuning from outside: a file of examples, folders of tasks, few examples.
. "${0%/*}/checks.sh"

base=$T2L_DATADIR/models/demo-base

# examples FILE N: a word and itself with an s.
examples() {
	i=0
	while [ $i -lt "$2" ]; do
		letter=$(printf '%b' "\\0$(printf '%o' $((97 + i % 26)))")
		printf '{"prompt":"%sa","response":"%sas"}\n' "$letter" "$letter"
		i=$((i + 1))
	done >"$1"
}

one_adapter_comes_from_a_file_of_examples() {
	examples plural.jsonl 12
	ends 0 train --mode lora --base-model "$base" --dataset plural.jsonl --steps 3 --quiet \
		--output my-adapter
	[ -f my-adapter/adapter_config.json ]
	[ ! -e my-adapter.checkpoint ]
	ends 0 infer --adapter my-adapter --prompt house --max-tokens 4
	ends 0 train --mode lora --dataset plural.jsonl --output my-adapter --check --plot
	says out '* loss' lora
}

a_trained_adapter_goes_into_the_catalog() {
	examples plural.jsonl 12
	ends 0 train --mode lora --base-model "$base" --dataset plural.jsonl --steps 3 --quiet \
		--name plurals --tag words
	says out plurals
	ends 0 catalog show plurals --json
	says out '"words"' trained
}

prepared_tokens_give_the_same_adapter() {
	examples plural.jsonl 12
	ends 0 train --prepare --base-model "$base" --dataset plural.jsonl --output plural.tokens
	says out '12 examples'
	for source in jsonl tokens; do
		ends 0 train --mode lora --base-model "$base" --dataset plural.$source --steps 3 \
			--learning-rate 1e-3 --seed 5 --quiet --output $source.safetensors
		ends 0 inspect $source.safetensors --json
		field hash out >$source.hash
	done
	cmp jsonl.hash tokens.hash
}

what_does_not_fit_is_refused() {
	examples plural.jsonl 12
	ends 1 train --mode lora --base-model "$base" --dataset plural.jsonl --output no \
		--max-memory 1M
	says err 'MiB may be used' activations
	ends 2 train --mode lora --base-model "$base" --dataset plural.jsonl --output no \
		--max-memory many
	[ ! -e no ]
}

examples_choose_a_description_and_refine() {
	examples plural.jsonl 8
	printf '%s\n' 'write the plural of the word' 'translate into Spanish' >candidates.txt
	ends 0 generate --examples plural.jsonl --candidates candidates.txt --refine 2 \
		--output refined.safetensors
	says err 'description by the examples'
	says out refined: 'held-out examples'
	ends 2 generate --task x --refine 2 --output never.safetensors
}

adapters_are_reconstructed() {
	mkdir targets
	for task in 'write the plural of the word' 'translate into Spanish'; do
		ends 0 generate --task "$task" --output "targets/${task%% *}.safetensors"
	done
	cat >recipe.toml <<RECIPE
[model]
latent_size = 16
head_in_size = 16
factorized = true
z_scores = true

[training]
mode = "reconstruction"
epochs = 4

[data]
encoder = "$T2L_DATADIR/models/demo-encoder"
RECIPE
	ends 0 train --config recipe.toml --dataset targets --output small.safetensors --quiet
	ends 0 generate --model small.safetensors --task 'translate into Spanish' --output again.safetensors
	sed -i 's/^factorized.*//' recipe.toml
	ends 1 train --config recipe.toml --dataset targets --output no.safetensors --quiet
	says err 'z_scores without factorized'
}

two_processes_give_what_one_gives() {
	command -v mpirun >/dev/null || exit 77
	examples plural.jsonl 12
	printf '[training]\nmicro_batches = 2\n' >two.toml
	for run in one two; do
		set -- --config two.toml --mode lora --base-model "$base" --dataset plural.jsonl \
			--steps 3 --seed 4 --quiet --output $run.safetensors
		if [ $run = one ]; then
			ends 0 train "$@"
		else
			# Open MPI's modules leave memory behind; that is not ours to report.
			ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0" OMPI_ALLOW_RUN_AS_ROOT=1 \
				OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 mpirun --oversubscribe -n 2 \
				"$t2l" train "$@" --distributed >out 2>err
		fi
	done
	cmp one.safetensors two.safetensors
}

run_tests one_adapter_comes_from_a_file_of_examples a_trained_adapter_goes_into_the_catalog \
	prepared_tokens_give_the_same_adapter what_does_not_fit_is_refused \
	examples_choose_a_description_and_refine adapters_are_reconstructed \
	two_processes_give_what_one_gives
