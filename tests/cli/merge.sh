#!/bin/sh
# Merging, looking into adapters and validating them, from outside.
. "${0%/*}/checks.sh"

"$t2l" generate --quiet --task "write the plural of the word" --output "$work/plural.safetensors" >"$work/log" &&
	"$t2l" generate --quiet --task "write the word in capital letters" \
		--output "$work/capitals.safetensors" >"$work/log" || exit 1
pair="$work/plural.safetensors $work/capitals.safetensors"
base=$T2L_DATADIR/models/demo-base

every_strategy_merges() {
	ends 0 merge --strategies --json
	for strategy in $(field strategy out); do
		ends 0 merge --adapters $pair --merge-strategy "$strategy" --output "$strategy.safetensors" --json
		ends 0 inspect "$strategy.safetensors"
	done
	[ -e ties_svd.safetensors ]
	[ -e karcher.safetensors ]
}

a_cut_tells_what_it_leaves_out() {
	ends 0 merge --adapters $pair --merge-strategy svd --rank 2 --output cut.safetensors
	says out "rank 2 leaves out"
	ends 0 inspect cut.safetensors --json
	same "$(field rank out)" 2
}

a_seed_repeats_what_is_drawn() {
	for name in a b; do
		ends 0 merge --adapters $pair --merge-strategy dare_ties --seed 4 --output $name.safetensors
	done
	ends 0 merge --adapters $pair --merge-strategy dare_ties --seed 5 --output c.safetensors
	cmp a.safetensors b.safetensors
	! cmp -s a.safetensors c.safetensors
}

a_parameter_the_strategy_has_not_is_refused() {
	ends 1 merge --adapters $pair --merge-strategy cat --density 0.5 --output x.safetensors
	says err density cat
	ends 2 merge --adapters $pair --merge-strategy ties --density 2 --output x.safetensors
	ends 1 merge --adapters "$work/plural.safetensors" --merge-strategy slerp --output x.safetensors
	says err two
	[ ! -e x.safetensors ]
}

a_base_with_an_adapter_inside_answers_like_both() {
	ends 0 merge --adapters "$work/plural.safetensors" --weights 1 --into-base "$base" --output merged
	says out changed
	ends 0 infer --base-model ./merged --prompt house --greedy
	same "$(cat out)" houses
	# What is there is not written over.
	ends 1 merge --adapters "$work/plural.safetensors" --into-base "$base" --output merged
	ends 2 merge --adapters "$work/plural.safetensors" --into-base "$base"
	says err output
}

searched_weights_find_the_task_of_the_examples() {
	printf '{"prompt":"%s","response":"%s"}\n' house houses dog dogs tree trees >examples.jsonl
	ends 0 merge --adapters $pair --auto examples.jsonl --output auto.safetensors --json
	says out weights exact_after
	same "$(field exact_after out | head -n 1)" 1
	ends 0 infer --adapter auto.safetensors --prompt house --greedy
	same "$(cat out)" houses
	ends 1 merge --adapters $pair --auto missing.jsonl --output x.safetensors
	says err missing.jsonl
	[ ! -e x.safetensors ]
}

a_merge_warns_of_what_does_not_meet() {
	ends 0 merge --adapters $pair --output fine.safetensors
	lacks err 'modules'
	ends 0 merge --adapters "$work/plural.safetensors" "$work/plural.safetensors" --output twice.safetensors
	says err 'are the same adapter'
}

inspect_shows_spectra_and_diff_compares() {
	ends 0 inspect "$work/plural.safetensors"
	says out '|dW|, layer by module' q_proj
	ends 0 inspect "$work/plural.safetensors" --json
	says out '"norms":[{"layer":0,'
	ends 0 inspect "$work/plural.safetensors" --norms
	lacks out 'layer by module'
	ends 0 inspect "$work/plural.safetensors" --spectrum
	says out "effective rank" health layer
	ends 0 inspect "$work/plural.safetensors" --spectrum --json
	says out singular_values effective_rank
	ends 0 diff "$work/plural.safetensors" "$work/plural.safetensors"
	says out "cosine 1.0000"
	ends 0 diff $pair --show output --json
	says out output_overlap input_angle
}

validate_tells_fit_memory_and_speed() {
	ends 0 validate --adapter "$work/plural.safetensors" --base-model "$base" --device-profile laptop
	says out valid fits memory tokens/s
	ends 1 validate --adapter "$work/plural.safetensors" --max-memory 1KB
	says out "not valid" memory
	ends 1 validate --adapter "$work/plural.safetensors" --device-profile toaster
	says err toaster laptop
	ends 2 validate --adapter "$work/plural.safetensors" --max-memory much
	mkdir -p "$XDG_CONFIG_HOME/t2l"
	printf '[toaster]\nmemory = 1\nmemory_bandwidth = 4\n' >"$XDG_CONFIG_HOME/t2l/profiles.toml"
	ends 0 validate --adapter "$work/plural.safetensors" --device-profile toaster --json
	says out '"valid":true' tokens_per_s
	ends 0 validate --profiles
	says out toaster mobile_cpu
	printf '[toaster]\nmemory = -1\n' >"$XDG_CONFIG_HOME/t2l/profiles.toml"
	ends 1 validate --adapter "$work/plural.safetensors" --device-profile laptop
	says err profiles.toml
	rm "$XDG_CONFIG_HOME/t2l/profiles.toml"
}

validate_takes_patterns() {
	cp "$work/plural.safetensors" one.safetensors
	cp "$work/capitals.safetensors" two.safetensors
	ends 0 validate --adapter '*.safetensors' --json
	lines out 2
	head -c 100 one.safetensors >three.safetensors
	ends 1 validate --adapter '*.safetensors' --json
	lines out 3
	ends 1 validate --adapter 'none-*'
	says err 'matches no file'
}

validate_sees_a_damaged_file() {
	head -c 3000 "$work/plural.safetensors" >cut.safetensors
	ends 1 validate --adapter cut.safetensors --adapter "$work/plural.safetensors" --json
	says err cut.safetensors
	says out '"valid":false' '"valid":true'
	ends 0 generate --quiet --task "write the plural of the word" --name kept
	ends 0 validate --adapter kept
	says out "as it was kept"
}

similar_adapters_come_by_meaning() {
	ends 0 generate --quiet --task "write the plural of the word" --name near-one
	ends 0 generate --quiet --task "give the plural form of the word" --name near-two
	ends 0 generate --quiet --task "write the word in capital letters" --name far
	ends 0 catalog similar near-one --json
	same "$(field name out | head -n 1)" near-two
	ends 1 catalog similar nobody
	says err nobody
}

run_tests similar_adapters_come_by_meaning every_strategy_merges a_cut_tells_what_it_leaves_out a_seed_repeats_what_is_drawn \
	a_parameter_the_strategy_has_not_is_refused a_base_with_an_adapter_inside_answers_like_both \
	searched_weights_find_the_task_of_the_examples inspect_shows_spectra_and_diff_compares \
	a_merge_warns_of_what_does_not_meet validate_tells_fit_memory_and_speed validate_takes_patterns \
	validate_sees_a_damaged_file
