#!/bin/sh
# Bad input and bad luck from outside: the message names the thing, the exit status is right, nothing is half-written.
. "${0%/*}/checks.sh"

# One good adapter that the tests damage or misuse.
adapter=$work/good.safetensors
"$t2l" generate --quiet --task "write the plural of the word" --output "$adapter" >"$work/log" || exit 1

# empty_but FILE...: the folder holds only these, and what the checks themselves write.
empty_but() {
	for found in * .[!.]*; do
		[ -e "$found" ] || continue
		case " out err $* " in
		*" $found "*) ;;
		*)
			echo "'$found' was left behind"
			return 1
			;;
		esac
	done
}

missing_files_are_named() {
	ends 1 infer --prompt x --adapter ./no-adapter.safetensors
	says err no-adapter.safetensors
	ends 1 infer --prompt x --adapter no-adapter
	says err no-adapter 'catalog list'
	ends 1 infer --prompt x --base-model ./no-model
	says err no-model
	ends 1 infer --input-file no-prompts.txt
	says err no-prompts.txt
	ends 1 generate --task x --model ./no-hypernet.safetensors --output made
	says err no-hypernet.safetensors
	ends 1 generate --batch-file no-tasks.txt --output made
	says err no-tasks.txt
	ends 1 train --config no-recipe.toml
	says err no-recipe.toml
	ends 1 evaluate --suite ./no-suite
	says err no-suite
	ends 1 evaluate --task no-task
	says err no-task
	ends 1 batch no-lines
	says err no-lines
	ends 1 generate --task x --output no-folder/x.safetensors
	says err no-folder/x.safetensors
	empty_but
}

empty_descriptions_are_refused() {
	ends 1 generate --task "" --output made.safetensors
	says err empty sentence
	ends 1 generate --task "  	 " --output made.safetensors
	says err empty
	: >tasks.txt
	ends 1 generate --batch-file tasks.txt --output made
	says err tasks.txt
	empty_but tasks.txt
}

a_megabyte_of_description_is_read() {
	words=$(yes 'write it twice' | head -c 1000000 | tr '\n' ' ')
	printf '{"task":"%s"}\n' "$words" >tasks.jsonl
	ends 0 generate --batch-file tasks.jsonl --output made.safetensors
	ends 0 inspect made.safetensors
	ends 0 infer --adapter made.safetensors --prompt house --max-tokens 4
}

text_that_is_not_unicode_is_refused() {
	bad=$(printf 'ab\377')
	ends 1 generate --task "$bad" --output made.safetensors
	says err UTF-8
	ends 1 apply --task "$bad" --prompt house
	says err UTF-8
	ends 1 infer --prompt "$bad"
	says err UTF-8
	ends 1 embed --text "$bad"
	says err UTF-8
	printf 'fine\nab\377\n' >bad.txt
	ends 1 infer --input-file bad.txt
	says err 'bad.txt line 2' UTF-8
	ends 1 generate --batch-file bad.txt --output made
	says err 'line 2' UTF-8
	[ ! -e made.safetensors ]
}

wrong_usage_ends_with_two() {
	ends 2 generate
	says err --task
	ends 2 infer --frobnicate
	says err --frobnicate 't2l infer --help'
	ends 2 frobnicate
	says err frobnicate
	ends 2 catalog frobnicate
	says err frobnicate
	ends 2 infer --prompt
	says err --prompt
	ends 2 infer --prompt x stray
	ends 2 merge --adapters "$adapter" --weights 1,2 --output made.safetensors
	says err '2 weights for 1'
	ends 2 compare --adapter "$adapter"
	says err --prompt
	ends 2 catalog rename one
	ends 2 config set infer.max_tokens
	empty_but
}

values_out_of_range_are_refused() {
	while read -r option value; do
		ends 2 infer --prompt x "--$option" "$value"
		says err "--$option" "$value"
	done <<-VALUES
		temperature -1
		temperature warm
		top-p 2
		top-p nan
		min-p -0.1
		top-k -1
		max-tokens 0
		max-tokens 1e3
		max-tokens 99999999999999999999
		repetition-penalty 0
		seed -1
	VALUES
	ends 2 merge --adapters "$adapter" --weights nan --output made.safetensors
	says err nan
	ends 2 generate --task x --variant XL --output made.safetensors
	says err XL 'S M L'
	ends 1 score --tokens 1,99999
	says err 99999
	ends 1 score --tokens 1,x
	says err 1,x
	empty_but
}

damaged_adapters_are_refused() {
	size=$(wc -c <"$adapter")
	for keep in 0 5 100 $((size / 2)) $((size - 1)); do
		head -c "$keep" "$adapter" >cut.safetensors
		ends 1 inspect cut.safetensors
		says err cut.safetensors
		ends 1 infer --adapter cut.safetensors --prompt x
		says err cut.safetensors
		ends 1 import cut.safetensors --name cut
		ends 1 merge --adapters cut.safetensors "$adapter" --output made.safetensors
		ends 1 export --adapter cut.safetensors --output made
	done
	printf '\377\377\377\377\377\377\377\177{}' >huge.safetensors
	ends 1 inspect huge.safetensors
	says err huge.safetensors
	ends 1 catalog show cut
	empty_but cut.safetensors huge.safetensors
}

damaged_peft_directories_are_refused() {
	ends 0 export --adapter "$adapter" --output good
	cp -r good cut
	head -c 200 good/adapter_config.json >cut/adapter_config.json
	ends 1 import cut --name cut
	says err cut adapter_config.json
	cp -r good dora
	sed '1s/{/{"use_dora": true,/' good/adapter_config.json | grep -v '"use_dora": *false' >dora/adapter_config.json
	ends 1 import dora --name dora
	says err dora
	rm cut/adapter_config.json
	ends 1 inspect cut
	says err cut
}

the_wrong_kind_of_file_is_refused() {
	ends 1 generate --task x --encoder "$T2L_DATADIR/models/demo-base" --output made.safetensors
	says err demo-base
	ends 1 generate --task x --model "$adapter" --output made.safetensors
	says err good.safetensors
	ends 1 infer --base-model "$adapter" --prompt x
	says err good.safetensors
	ends 1 infer --base-model "$T2L_DATADIR/models/demo-encoder" --prompt x
	says err demo-encoder
	ends 1 infer --adapter "$T2L_DATADIR/models/demo-S.safetensors" --prompt x
	says err demo-S.safetensors
	empty_but
}

another_base_is_told_apart() {
	cp -r "$T2L_DATADIR/models/demo-base" other-base
	chmod -R u+w other-base
	size=$(wc -c <other-base/model.safetensors)
	printf '\001\002' | dd of=other-base/model.safetensors bs=1 seek=$((size - 1001)) conv=notrunc 2>/dev/null
	ends 1 generate --task x --validate --base-model ./other-base --output made.safetensors
	says err demo-base
	[ ! -e made.safetensors ]
	ends 1 evaluate --task plural --method t2l-plain --base-model ./other-base
	says err demo-base
}

unknown_settings_are_named_with_file_and_line() {
	printf '[infer]\n\nmax_tokns = 4\n' >typo.toml
	ends 2 infer --config typo.toml --prompt x
	says err 'typo.toml:3' infer.max_tokns
	printf '[infer]\ntop_p = 7\n' >range.toml
	ends 2 infer --config range.toml --prompt x
	says err 'range.toml:2' top_p 7
	printf 'infer:\n  top_p: [\n' >broken.yaml
	ends 2 infer --config broken.yaml --prompt x
	says err broken.yaml:
	printf '[infer]\nmax_tokens = 1\n' >fine.toml
	ends 0 infer --config fine.toml --prompt house --json
	says out '"tokens":1,'
	T2L_INFER_TOP_P=9
	export T2L_INFER_TOP_P
	ends 2 infer --prompt x
	says err T2L_INFER_TOP_P 9
	unset T2L_INFER_TOP_P
	ends 1 config set infer.bogus 1
	says err infer.bogus
	ends 1 config set infer.max_tokens 0
	says err infer.max_tokens
	[ ! -e "$XDG_CONFIG_HOME/t2l/config.toml" ]
	printf '[training]\nstepz = 4\n' >recipe.toml
	ends 1 train --config recipe.toml --check
	says err recipe.toml:2 stepz
}

bad_json_lines_are_named() {
	printf '%s\n' '{"prompt":"x"}' '{"prompt":' >p.jsonl
	ends 1 infer --input-file p.jsonl
	says err 'p.jsonl line 2'
	printf '%s\n' '{"task":7}' >t.jsonl
	ends 1 generate --batch-file t.jsonl --output made.safetensors
	says err 't.jsonl line 1'
	printf '%s\n' '{"ids":[1,-2]}' >i.jsonl
	ends 1 tokenize --decode --input-file i.jsonl
	says err 'i.jsonl line 1'
	printf '%s\n' '{"messages":"x"}' >c.jsonl
	ends 1 chat-template --input-file c.jsonl
	says err 'c.jsonl line 1'
	empty_but p.jsonl t.jsonl i.jsonl c.jsonl
}

a_full_disk_leaves_nothing_half_written() {
	ends 0 generate --quiet --task "write the plural of the word" --name before
	(
		ulimit -f 16
		ends 1 generate --task "write the word in capital letters" --output made.safetensors
		says err made.safetensors
		ends 1 generate --task "write the word in capital letters" --output made --format peft
		says err made
		ends 1 generate --task "write the word in capital letters" --name late
		printf 'write the plural\nwrite it twice\nwrite it backwards\n' >tasks.txt
		ends 1 generate --batch-file tasks.txt --workers 2 --output many
		says err many/00
	)
	[ -z "$(find many -type f)" ]
	[ ! -e made.safetensors ]
	[ ! -e made/adapter_model.safetensors ]
	ends 1 catalog show late
	ends 0 catalog verify
	ends 0 infer --adapter before --prompt house --greedy
	same "$(cat out)" houses
	if [ -c /dev/full ]; then
		ended=0
		"$t2l" catalog list >/dev/full 2>err || ended=$?
		same "$ended" 1
		says err 'standard output'
	fi
}

a_read_only_home_is_told() {
	[ "$(id -u)" -ne 0 ] || exit 77
	ends 0 generate --quiet --task "write the plural of the word" --name kept
	chmod -R a-w "$T2L_HOME"
	ended=0
	"$t2l" generate --task "write the plural" --name more 2>err || ended=$?
	"$t2l" catalog list --json >listed 2>/dev/null || true
	chmod -R u+w "$T2L_HOME"
	same "$ended" 1
	grep -qi 'read-only\|permission\|written' err
	says listed '"name":"kept"'
}

a_home_that_is_a_file_is_told() {
	: >file
	T2L_HOME=$PWD/file
	ends 1 generate --task "write the plural" --name lost
	says err "$PWD/file"
	ends 1 catalog list
	says err "$PWD/file"
}

an_interrupt_is_told_by_the_exit_status() {
	for signal in INT TERM HUP; do
		# A shell starts background commands with SIGINT ignored; the program sets its own handler.
		"$t2l" evaluate --json --output rows.jsonl >out 2>err &
		pid=$!
		sleep 1
		kill -s $signal $pid
		ended=0
		wait $pid || ended=$?
		same "$ended" 130
		[ ! -e rows.jsonl ]
	done
	empty_but
}

what_was_meant_is_guessed() {
	ends 2 genrate --task x
	says err "'genrate'" "'generate'?"
	ends 2 generate --taks x
	says err --taks '--task?'
	ends 2 catalog lst
	says err "'list'?"
	ends 2 --verison
	says err "no option '--verison'"
	ends 2 xyzzy
	if grep -q 'did you mean' err; then exit 1; fi
	ends 2 generate 'double the word'
	says err "'double the word'" 'one word too many'
	empty_but
}

run_tests what_was_meant_is_guessed missing_files_are_named empty_descriptions_are_refused a_megabyte_of_description_is_read \
	text_that_is_not_unicode_is_refused wrong_usage_ends_with_two values_out_of_range_are_refused \
	damaged_adapters_are_refused damaged_peft_directories_are_refused \
	the_wrong_kind_of_file_is_refused another_base_is_told_apart \
	unknown_settings_are_named_with_file_and_line bad_json_lines_are_named \
	a_full_disk_leaves_nothing_half_written a_read_only_home_is_told a_home_that_is_a_file_is_told \
	an_interrupt_is_told_by_the_exit_status
