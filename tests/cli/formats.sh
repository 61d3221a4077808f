#!/bin/sh
# Adapters out and in through the command line: every format, trees, distilled data, interrupts.
. "$T2L_SRCDIR/tests/cli/checks.sh"

# A small adapter from the golden data, as PEFT; its base is a directory with a config.json alone.
golden=$T2L_SRCDIR/tests/golden/export
qv=$golden/peft/qv-r8
base=$golden/base-llama

every_format_is_told_by_its_content() {
	ends 0 inspect "$qv" --json
	hash=$(field hash out)
	# No ending helps: all are called "one".
	for format in peft gguf ggml mlx ollama native; do
		ends 0 export --adapter "$qv" --format $format --base-model "$base" \
			--target-model base-llama --output one --json
		says out '"verified":true' "\"format\":\"$format\""
		ends 0 inspect one --json
		says out "\"format\":\"$format\""
		same "$(field hash out)" "$hash"
		rm -rf one
	done
}

convert_goes_from_any_to_any() {
	for format in gguf ggml mlx native peft; do
		ends 0 convert "$qv" one --to $format --base-model "$base"
		ends 0 convert one two --to peft --base-model "$base"
		cmp "$qv/adapter_model.safetensors" two/adapter_model.safetensors ||
			ends 0 inspect two --against "$qv" --json
		rm -rf one two
	done
	ends 0 convert "$qv" x.gguf --head-dim 16
	ends 0 inspect x.gguf --json
	says out '"format":"gguf"'
	ends 1 convert "$golden/ggml-corrupt/alpha-nan.ggml" y.ggml
	says err 'alpha is not finite'
	[ ! -e y.ggml ]
}

a_gguf_without_head_size_wants_its_base() {
	ends 1 convert "$golden/gguf-lora/qv-r8-f32.gguf" plain
	says err "GGUF's order"
	[ ! -e plain ]
	ends 0 convert "$golden/gguf-lora/qv-r8-f32.gguf" plain --base-model "$base"
	ends 0 inspect "$qv" --json
	hash=$(field hash out)
	ends 0 inspect plain --json
	same "$(field hash out)" "$hash"
	ends 0 convert "$golden/gguf-lora/all-rslora-f32.gguf" weak --base-model "$base"
	says err 'rsLoRA' 'nothing in the file tells'
}

precision_and_purpose_are_told_with_their_cost() {
	ends 0 export --adapter "$qv" --format ggml --precision q4_0 --output x.ggml
	says out 'change of the effect' 'of 8 tensors are in fp16'
	ends 0 export --adapter "$qv" --format ggml --optimize-for mobile --output m.ggml --json
	says out '"precision":"int8"' 'the scale is in B'
	ends 0 export --adapter "$qv" --format peft --optimize-for-inference --output p --json
	says out '"precision":"fp32"' 'multiple of 64'
	ends 1 export --adapter "$qv" --format peft --precision q4_0 --output q
	says err 'cannot hold q4_0'
	[ ! -e q ]
	ends 2 export --adapter "$qv" --format peft --precision fp32 --prompts x --output q
}

hf_directories_have_what_transformers_wants() {
	ends 0 export --adapter "$qv" --format hf --base-model "$T2L_DATADIR/models/demo-base" --output hf \
		--generate-model-card --task-description "say it in Spanish"
	for file in config.json adapter_model.safetensors adapter_config.json generation_config.json \
		tokenizer_config.json special_tokens_map.json README.md tokenizer.json; do
		[ -e hf/$file ] || { echo "no $file"; return 1; }
	done
	[ -L hf/model.safetensors ]
	says hf/README.md 'say it in Spanish' '## Facts'
	ends 0 export --adapter "$qv" --format hf --base-model "$T2L_DATADIR/models/demo-base" --output only \
		--adapter-only
	[ ! -e only/config.json ]
	[ ! -e only/model.safetensors ]
}

a_card_has_the_catalogs_scores() {
	ends 0 generate --task "write the plural of the word" --name scored
	ends 0 evaluate --task plural --adapter scored --json
	right=$(field correct out | head -n 1)
	ends 0 export --adapter scored --format hf --base-model "$T2L_DATADIR/models/demo-base" --output card \
		--generate-model-card
	says card/README.md '## Scores' "$right of "
}

# Base + adapter in one: both forms, from the HF base and from the GGUF file made of it.
merged_bases_answer_as_base_and_adapter_do() {
	demo=$T2L_DATADIR/models/demo-base
	ends 0 generate --task "write the plural of the word" --output plural.safetensors
	ends 0 export --adapter plural.safetensors --format merged --base-model "$demo" --output merged
	ends 0 export --adapter plural.safetensors --format merged --base-model "$demo" --output merged.gguf --json
	says out '"format":"merged"'
	ends 0 convert "$demo" demo.gguf
	ends 0 export --adapter plural.safetensors --format merged --base-model demo.gguf --output again.gguf
	ends 0 merge --adapters plural.safetensors:1 --into-base demo.gguf --output again/
	for model in merged merged.gguf again.gguf again; do
		for word in house dog; do
			ends 0 infer --base-model ./$model --prompt $word --greedy
			same "$(cat out)" ${word}s
		done
	done
	ends 1 export --adapter plural.safetensors --format merged --base-model "$demo" --output merged
	says err 'merged'
	ends 1 export --adapter "$qv" --format merged --base-model "$demo" --output other.gguf
	[ ! -e other.gguf ]
	ends 2 export --adapter plural.safetensors --format merged --base-model "$demo" --precision fp16 --output p.gguf
	ends 0 export --adapter plural.safetensors --format ollama --merged --base-model "$demo" --output whole
	same "$(cat whole/Modelfile)" "FROM ./model.gguf"
	cmp whole/model.gguf merged.gguf
	ends 2 export --adapter plural.safetensors --format gguf --merged --base-model "$demo" --output p.gguf
	for left in .t2l-*; do
		[ ! -e "$left" ]
	done
}

a_tree_is_imported_once() {
	mkdir -p tree/deep/er
	cp -r "$qv" tree/qv
	cp -r "$golden/peft/patterns" tree/deep/patterns
	cp "$golden/ggml/all-rslora.fp32.ggml" tree/deep/er/x.bin
	cp "$golden/ggml-corrupt/pair-missing-b.ggml" tree/deep/broken.ggml
	cp "$golden/gguf-lora/qv-r8-f32.gguf" "tree/lora.gguf"
	echo text >tree/README.md
	ln -s .. tree/deep/loop
	ends 1 import --recursive tree --tag found
	says out '4 imported, 0 there already, 1 refused' 'broken.ggml' 'other half'
	ends 1 import --recursive tree --json
	says out '"imported":0,"twins":4,"refusals":1'
	ends 0 catalog list --json
	[ "$(wc -l <out)" -eq 4 ]
	rm tree/deep/broken.ggml
	ends 0 import --recursive tree
}

# Whatever the format, the labels and the place, the same numbers are the same adapter.
the_same_adapter_is_known_in_every_form() {
	ends 0 generate --task "write the word in capital letters" --name first
	ends 0 catalog list --json
	before=$(wc -l <out)
	for format in peft ggml native mlx; do
		ends 0 export --adapter first --format $format --output again-$format
		ends 0 import again-$format --task "said otherwise"
		says out 'first' 'does the same'
	done
	ends 0 catalog list --json
	lines out "$before"
	# Asked for by name it is kept twice, and the first is told.
	ends 0 import again-ggml --name second
	says out 'second' 'does the same as first'
	# Rounded numbers are another adapter.
	ends 0 export --adapter first --format peft --precision fp16 --output rounded
	ends 0 import rounded --name rounded --json
	says out '"twin":""'
	ends 0 inspect again-peft --json
	ends 0 catalog show "$(field hash out | cut -c 1-12)" --json
	says out '"name":"first"'
}

hostile_names_are_refused() {
	mkdir -p evil
	mkdir 'evil/a
b'
	cp "$qv"/* 'evil/a
b'
	ends 1 import --recursive evil
	says out 'line break'
	mkdir -p evil2/m
	printf 'FROM x\nADAPTER ../../x.gguf\n' >evil2/m/Modelfile
	ends 1 import --recursive evil2
	says out 'beside it'
	ends 1 export --adapter "$qv" --format ollama --base-model "$base" --target-model 'x
RUN y' --output o
	[ ! -e o ]
}

# A name is a word in a list, never a way to a file or a second line.
no_command_takes_a_path_for_a_name() {
	ends 0 generate --task "write the plural of the word" --name fine --output fine.safetensors
	for name in ../evil /tmp/evil 'evil
second' .. -evil 'a/b'; do
		for line in "import fine.safetensors" "merge --adapters fine" "generate --task x"; do
			# shellcheck disable=SC2086
			"$t2l" $line "--name=$name" >out 2>err && { echo "$line --name $name"; return 1; }
			[ -s err ]
		done
		"$t2l" catalog rename -- fine "$name" >out 2>err && { echo "rename $name"; return 1; }
	done
	ends 0 catalog list --json
	lacks out evil
	ls -a .. >names
	lacks names evil
	[ ! -e /tmp/evil ]
}

# Names that a file brings along are no better.
names_inside_files_are_refused_or_made_visible() {
	ends 0 generate --task "write the plural of the word" --output plural.safetensors
	export LC_ALL=C
	# As long as before, so that the header's lengths stay right.
	sed 's/write the plural of/..\/..\/evilplural of/' plural.safetensors >dots.safetensors
	ends 0 import dots.safetensors --name dots --json
	ends 0 import dots.safetensors --json
	for format in ollama hf peft; do
		ends 0 export --adapter dots --format $format --base-model "$T2L_DATADIR/models/demo-base" --output $format
	done
	ls -a .. . >names
	lacks names evil
	sed 's/write the plural of/write th\\nplural of/' plural.safetensors >break.safetensors
	ends 0 inspect break.safetensors
	! grep -q '^plural of' out
	sed 's/write the plural of/w\\u001b[2Jplural of/' plural.safetensors >escape.safetensors
	ends 0 inspect escape.safetensors
	! grep -q "$(printf '\033')" out
	says out '[2Jplural of the word'
	# A shard's index may not lead out of its folder.
	mkdir -p base
	cp "$T2L_DATADIR/models/demo-base/config.json" base
	printf '{"weight_map":{"model.norm.weight":"../../x.safetensors"}}' >base/model.safetensors.index.json
	ends 1 merge --adapters plural.safetensors --into-base base --output merged
	says err 'plain name'
	ends 1 validate --adapter plural.safetensors --base-model base
	[ ! -e merged ]
}

answers_become_training_data() {
	ends 0 generate --task "write the plural of the word" --name plural
	for word in house dog cat tree car book pen cup door hand nose; do echo $word; done >words
	ends 0 export --adapter plural --format openai --prompts words --output data.jsonl --greedy --json
	lines data.jsonl 11
	says data.jsonl '"role": "user", "content": "house"}, {"role": "assistant", "content": "houses"}' \
		'{"role": "system", "content": "write the plural of the word"}'
	says data.jsonl.json '"adapter_hash"' 'not its weights'
	head -n 3 words >few
	ends 1 export --adapter plural --format openai --prompts few --output few.jsonl --greedy
	says err '3 conversations'
	[ ! -e few.jsonl ]
	ends 0 export --adapter plural --format openai --suite-task plural --examples 12 --output suite.jsonl --greedy
	lines suite.jsonl 12
	ends 2 export --adapter plural --format openai --precision fp16 --prompts words --output x.jsonl
}

run_tests every_format_is_told_by_its_content convert_goes_from_any_to_any \
	a_gguf_without_head_size_wants_its_base precision_and_purpose_are_told_with_their_cost \
	hf_directories_have_what_transformers_wants merged_bases_answer_as_base_and_adapter_do a_tree_is_imported_once the_same_adapter_is_known_in_every_form \
	hostile_names_are_refused no_command_takes_a_path_for_a_name \
	names_inside_files_are_refused_or_made_visible a_card_has_the_catalogs_scores \
	answers_become_training_data
