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
	ends 1 train --mode lora --base-model "$base" --dataset plural.jsonl --steps 3 --name plurals
	says err "'plurals' is taken"
	if grep -q 'training 3/3' err; then exit 1; fi
	ends 1 train --mode lora --base-model "$base" --dataset plural.jsonl --steps 3 --name base
	if grep -q 'training 3/3' err; then exit 1; fi
}

examples_may_come_from_a_pipe() {
	examples plural.jsonl 12
	ends 0 train --mode lora --base-model "$base" --dataset plural.jsonl --steps 3 --seed 5 --quiet \
		--output file.safetensors
	# shellcheck disable=SC2002 # a pipe, which cannot be mapped
	cat plural.jsonl | "$t2l" train --mode lora --base-model "$base" --dataset /dev/stdin --steps 3 --seed 5 \
		--output pipe.safetensors 2>err
	lacks err 'beforehand'
	"$t2l" inspect file.safetensors --json >out
	hash=$(field hash out)
	"$t2l" inspect pipe.safetensors --json >out
	same "$(field hash out)" "$hash"
	# shellcheck disable=SC2002
	cat plural.jsonl | "$t2l" train --mode lora --base-model "$base" --dataset /dev/stdin --check \
		--output none >out 2>err
	says err 'beforehand: 200 steps'
	# shellcheck disable=SC2002
	cat plural.jsonl | "$t2l" generate --examples /dev/stdin --task 'write the plural of the word' \
		--refine 2 --output refined.safetensors >out
	printf '{"prompt":1}\n' >wrong.jsonl
	# shellcheck disable=SC2002
	if cat wrong.jsonl | "$t2l" generate --examples /dev/stdin --output no.safetensors 2>err; then exit 1; fi
	says err '/dev/stdin line 1'
	mkdir -p folder/task
	mkfifo folder/task/train.jsonl
	ends 1 train --mode lora --base-model "$base" --dataset folder --steps 1 --output none
	says err train.jsonl
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

tasks_are_chosen_by_name() {
	for task in one two three; do
		mkdir -p tasks/$task
		examples tasks/$task/train.jsonl 4
		echo 'write the plural of the word' >tasks/$task/descriptions.txt
	done
	ends 0 train --prepare --base-model "$base" --dataset tasks --output all.tokens
	set -- --mode lora --base-model "$base" --steps 1 --quiet
	for source in tasks all.tokens; do
		ends 0 train "$@" --dataset $source --tasks 'three, one' --output made
		[ "$(ls made)" = "one.safetensors
three.safetensors" ]
		rm -r made
		ends 1 train "$@" --dataset $source --tasks one,for --output made
		says err "'for'"
		ends 1 train "$@" --dataset $source --tasks '' --output made
		says err --tasks commas
	done
	: >none.jsonl
	ends 1 train "$@" --dataset none.jsonl --output made
	says err "task 'none' has no examples"
	[ ! -e made ]
}

where_no_result_could_go_is_told_at_once() {
	for task in one two; do
		mkdir -p tasks/$task
		examples tasks/$task/train.jsonl 4
		echo 'write the plural of the word' >tasks/$task/descriptions.txt
	done
	echo mine >file
	set -- --base-model "$base" --dataset tasks --steps 1 --quiet
	ends 1 train "$@" --mode lora --output file
	says err "'file' is there and is no folder"
	ends 1 train "$@" --mode lora --output one.safetensors
	says err 'one file for 2 tasks' --tasks
	ends 1 train "$@" --mode supervised --encoder "$T2L_DATADIR/models/demo-encoder" --output tasks
	says err "'tasks' is a folder"
	[ "$(cat file)" = mine ]
	[ "$(ls)" = "err
file
out
tasks" ]
}

descriptions_that_the_encoder_cannot_read_are_refused() {
	mkdir -p tasks/one
	examples tasks/one/train.jsonl 4
	printf 'write the plural\nнапиши слово\n' >tasks/one/descriptions.txt
	ends 1 train --mode supervised --base-model "$base" --dataset tasks --steps 1 --quiet \
		--encoder "$T2L_DATADIR/models/demo-encoder" --output never.safetensors
	says err "task 'one', description 2" 'knows 0 of '
	[ ! -e never.safetensors ]
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
	ends 2 generate --task x --refine-rate 1 --output never.safetensors
	ends 2 generate --task x --candidates candidates.txt --output never.safetensors
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
	ends 0 generate --model small.safetensors --task 'translate into Spanish' --output again.safetensors --json
	hash=$(field hash out)
	for format in peft hf; do # which carry their description, too
		mkdir $format
		for target in write translate; do
			ends 0 export --adapter targets/$target.safetensors --format $format \
				--precision fp32 --output $format/$target
		done
		ends 0 train --config recipe.toml --dataset $format --output $format.safetensors --quiet
		ends 0 generate --model $format.safetensors --task 'translate into Spanish' --json \
			--output $format-again.safetensors
		same "$(field hash out)" "$hash"
	done
	sed -i 's/^factorized.*//' recipe.toml
	ends 1 train --config recipe.toml --dataset targets --output no.safetensors --quiet
	says err 'z_scores without factorized'
}

an_offset_begins_every_adapter() {
	examples plural.jsonl 12
	mkdir -p tasks/plural
	cp plural.jsonl tasks/plural/train.jsonl
	printf 'write the plural of the word\ngive more than one of it\n' >tasks/plural/descriptions.txt
	ends 0 train --mode lora --base-model "$base" --dataset plural.jsonl --steps 3 --quiet \
		--learning-rate 1e-3 --output first.safetensors
	ends 0 inspect first.safetensors --json
	field hash out >first.hash
	for learn in false true; do
		cat >$learn.toml <<RECIPE
[model]
latent_size = 16
head_in_size = 16
offset = "first.safetensors"
learn_offset = $learn

[training]
mode = "supervised"
steps = 3
batch_tasks = 1

[optimizer]
learning_rate = $([ $learn = true ] && echo 0.01 || echo 0)
warmup_steps = 0

[data]
suite = "tasks"
base_model = "$base"
encoder = "$T2L_DATADIR/models/demo-encoder"
RECIPE
		ends 0 train --config $learn.toml --output $learn.safetensors --quiet
		ends 0 generate --model $learn.safetensors --task 'write the plural' --output made.safetensors --json
		field hash out >$learn.hash
	done
	cmp first.hash false.hash
	if cmp -s first.hash true.hash; then exit 1; fi
	sed 's/^offset/rank = 4\noffset/' false.toml >other.toml
	ends 1 train --config other.toml --output no.safetensors --quiet
	says err first.safetensors 'rank 8' 'rank 4' target_modules
	sed 's/"supervised"/"lora"/' false.toml >lora.toml
	ends 1 train --config lora.toml --output no --quiet
	says err lora.toml:4 offset
	[ ! -e no.safetensors ]
}

# loss FILE STEP: of the log.
loss() {
	sed -n "s/^{\"step\":$2,\"loss\":\([^,]*\),.*/\1/p" "$1"
}

a_hypernet_learns_the_same_over_a_gguf_base() {
	examples plural.jsonl 12
	mkdir -p tasks/plural
	cp plural.jsonl tasks/plural/train.jsonl
	printf 'write the plural of the word\n' >tasks/plural/descriptions.txt
	ends 0 convert "$base" base.gguf
	ends 0 quantize base.gguf small.gguf --type q8_0
	for on in "$base" base.gguf small.gguf; do
		name=$(basename "$on")
		cat >"$name.toml" <<RECIPE
[model]
latent_size = 16
head_in_size = 16
target_modules = "q_proj,k_proj,v_proj"

[training]
mode = "supervised"
steps = 20
batch_tasks = 1
log_every = 1

[optimizer]
learning_rate = 0.01
warmup_steps = 0

[data]
suite = "tasks"
base_model = "$on"
encoder = "$T2L_DATADIR/models/demo-encoder"
RECIPE
		ends 0 train --config "$name.toml" --output "$name.safetensors" --quiet
		first=$(loss "$name.safetensors.train-log.jsonl" 0)
		last=$(loss "$name.safetensors.train-log.jsonl" 19)
		echo "$name $first $last" >>losses
	done
	awk '{ if ($3 > $2 / 2) exit 1
		if (NR == 1) { first = $2; last = $3 }
		if (NR == 2 && ($2 - first) ^ 2 + ($3 - last) ^ 2 > 1e-6) exit 1 }' losses || {
		cat losses
		return 1
	}
	ends 0 generate --model base.gguf.safetensors --task 'write the plural' --base-model base.gguf --validate \
		--output made.safetensors
	ends 0 infer --base-model base.gguf --adapter made.safetensors --prompt da --greedy --max-tokens 6
	same "$(cat out)" das
}

# job N [arguments of train]: that many processes, whose numbers go into pid.RANK. Open MPI's modules
# leave memory behind; that is not ours to report.
job() {
	n=$1
	shift
	# shellcheck disable=SC2016 # of the inner shell
	ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0" OMPI_ALLOW_RUN_AS_ROOT=1 \
		OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 mpirun --oversubscribe -n "$n" \
		sh -c 'echo $$ >pid.$OMPI_COMM_WORLD_RANK; exec "$@"' sh \
		"$t2l" train "$@" --distributed
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
			job 2 "$@" >out 2>err
		fi
	done
	cmp one.safetensors two.safetensors
}

processes_that_do_not_share_are_refused() {
	command -v mpirun >/dev/null || exit 77
	examples plural.jsonl 12
	set -- --mode lora --base-model "$base" --dataset plural.jsonl --steps 2 --output alone
	if OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 mpirun --oversubscribe -n 2 \
		"$t2l" train "$@" >out 2>err; then exit 1; fi
	says err --distributed
	[ ! -e alone ]
}

options_that_contradict_each_other_are_refused() {
	examples plural.jsonl 12
	set -- --mode lora --base-model "$base" --dataset plural.jsonl --output never
	ends 2 train "$@" --steps 2 --epochs 2
	says err --steps --epochs
	ends 2 train "$@" --steps 2 --tag words
	says err --tag --name
	[ ! -e never ]
	ends 0 train "$@" --steps 1 --variant S
	says err '--variant changes nothing in mode lora'
	ends 0 train "$@" --epochs 2 --json --quiet
	says out '"steps":4'
	printf '[model]\nlantent_size = 4\n' >typed.toml
	ends 1 train "$@" --config typed.toml
	says err "typed.toml:2" "'model.lantent_size'" "'model.latent_size'?"
}

keys_of_a_recipe_that_the_mode_does_not_look_at_are_told() {
	examples plural.jsonl 12
	set -- --config shared.toml --base-model "$base" --dataset plural.jsonl --output idle
	printf '[model]\nsize = "small"\ndropout = 0.1\nrank = 4\n[data]\ncache = "here"\n' >shared.toml
	ends 0 train "$@" --mode lora --steps 1 --json
	says err 'in mode lora: model.size, model.dropout, data.cache'
	lacks out dropout
	ends 0 train "$@" --mode lora --steps 1 --quiet
	lacks err dropout
	ends 0 train "$@" --prepare --output tokens
	lacks err dropout
	ends 1 train "$@" --mode supervised --steps 1 # no encoder
	lacks err dropout
	cd "$T2L_SRCDIR"
	for recipe in share/recipes/*.toml; do
		"$t2l" train --config "$recipe" --check --plot >"$work/out" 2>"$work/err"
		lacks "$work/err" 'change nothing'
	done
}

an_unfinished_run_is_not_begun_anew_without_a_word() {
	examples plural.jsonl 12
	set -- --mode lora --base-model "$base" --dataset plural.jsonl --steps 2 --output begun/
	: >begun.checkpoint
	ends 0 train "$@"
	says err "'begun.checkpoint'" --resume
	ends 0 train "$@"
	if grep -q -e --resume err; then exit 1; fi
}

a_killed_process_ends_the_job_with_a_checkpoint() {
	command -v mpirun >/dev/null || exit 77
	examples plural.jsonl 12
	printf '[training]\nmicro_batches = 2\ncheckpoint_every = 1\n' >killed.toml
	set -- --config killed.toml --mode lora --base-model "$base" --dataset plural.jsonl \
		--steps 200 --seed 4 --quiet --output killed.safetensors
	job 2 "$@" >out 2>err &
	job=$!
	i=0
	while [ ! -s killed.safetensors.checkpoint ] && [ $i -lt 1200 ]; do
		sleep 0.1
		i=$((i + 1))
	done
	kill -9 "$(cat pid.1)"
	if wait $job; then exit 1; fi
	says err 'signal 9'
	[ ! -e killed.safetensors ]
	[ -s killed.safetensors.checkpoint ]
	ends 0 train "$@" --resume
	[ -s killed.safetensors ]
	says killed.safetensors.train-log.jsonl '{"step":9,' '{"step":199,'
}

what_a_training_would_take_is_told() {
	examples plural.jsonl 12
	set -- --mode lora --base-model "$base" --dataset plural.jsonl --steps 3 --output never
	ends 0 train "$@" --check
	says out 'lora -> never, 3 steps' 'memory about' activations
	ends 0 train "$@" --check --json
	says out '"steps":3' '"memory":{"base":' '"total":'
	ends 1 train "$@" --check --max-memory 1M
	says err 'does not fit' '1 MiB'
	[ ! -e never ]
}

bf16_is_an_option_and_a_key() {
	examples plural.jsonl 12
	printf '[training]\ncompute_dtype = "bf16"\n' >narrow.toml
	set -- --mode lora --base-model "$base" --dataset plural.jsonl --steps 3 --seed 2 --quiet
	ends 0 train "$@" --output wide.safetensors
	ends 0 train "$@" --output option.safetensors --compute-dtype bf16
	ends 0 train --config narrow.toml "$@" --output key.safetensors
	for run in wide option key; do
		sed 's/,"seconds.*//' $run.safetensors.train-log.jsonl >$run.losses
	done
	if cmp -s wide.losses option.losses; then exit 1; fi
	ends 2 train "$@" --output no --compute-dtype f16
	printf '[training]\ncompute_dtype = "int8"\n' >wrong.toml
	ends 1 train --config wrong.toml "$@" --output no
	says err wrong.toml:2 compute_dtype
}

adapters_of_the_catalog_are_reconstructed() {
	for task in 'write the plural of the word' 'translate into Spanish'; do
		ends 0 generate --task "$task" --name "${task%% *}" --tag target
	done
	printf '[model]\nlatent_size = 16\nhead_in_size = 16\nfactorized = true\n' >recipe.toml
	ends 0 train --config recipe.toml --mode reconstruction --query 'tag:target' --steps 2 \
		--encoder "$T2L_DATADIR/models/demo-encoder" --output small.safetensors --quiet
	ends 0 inspect small.safetensors
	ends 1 train --config recipe.toml --mode reconstruction --query 'tag:nothing' --steps 2 \
		--encoder "$T2L_DATADIR/models/demo-encoder" --output no.safetensors --quiet
	[ ! -e no.safetensors ]
}

run_tests one_adapter_comes_from_a_file_of_examples tasks_are_chosen_by_name \
	processes_that_do_not_share_are_refused options_that_contradict_each_other_are_refused \
	keys_of_a_recipe_that_the_mode_does_not_look_at_are_told \
	an_unfinished_run_is_not_begun_anew_without_a_word \
	where_no_result_could_go_is_told_at_once descriptions_that_the_encoder_cannot_read_are_refused \
	a_trained_adapter_goes_into_the_catalog \
	examples_may_come_from_a_pipe prepared_tokens_give_the_same_adapter what_does_not_fit_is_refused \
	examples_choose_a_description_and_refine adapters_are_reconstructed an_offset_begins_every_adapter \
	a_hypernet_learns_the_same_over_a_gguf_base \
	two_processes_give_what_one_gives a_killed_process_ends_the_job_with_a_checkpoint \
	what_a_training_would_take_is_told bf16_is_an_option_and_a_key \
	adapters_of_the_catalog_are_reconstructed
