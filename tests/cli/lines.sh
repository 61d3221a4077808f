#!/bin/sh
# What stands on a line and in a file of lines: options, settings, batch files, the help made from the table.
. "${0%/*}/checks.sh"

adapter=$work/good.safetensors
"$t2l" generate --quiet --task "Translate English to Spanish" --output "$adapter" >"$work/log" || exit 1

workers_write_in_the_order_of_the_lines() {
	for n in 1 2 3 4 5 6; do
		echo "infer --prompt house$n --max-tokens 4 --greedy"
	done >lines.t2l
	ends 0 batch lines.t2l --json
	field prompt out >alone
	field text out >>alone
	ends 0 batch lines.t2l --workers 3 --json
	field prompt out >together
	field text out >>together
	cmp alone together
	sed -i '3s/.*/frobnicate/' lines.t2l
	ends 2 batch lines.t2l --workers 3 --keep-going --json
	lines out 5
	says err 'lines.t2l line 3' frobnicate
	ends 2 batch lines.t2l --workers 2
	says err 'lines.t2l line 3'
	echo 'batch lines.t2l' >outer.t2l
	ends 2 batch outer.t2l --workers 2
	says err '--workers'
	ends 2 batch lines.t2l --workers 0
}

workers_resume_where_they_stopped() {
	printf 'version\nfrobnicate\nversion\nversion\n' >lines.t2l
	ends 2 batch lines.t2l --workers 2 --resume
	says lines.t2l.done ' 1'
	sed -i 's/frobnicate/version/' lines.t2l
	ends 0 batch lines.t2l --workers 2 --resume
	ends 0 batch lines.t2l --workers 2 --resume
	lines out 0
}

an_interrupt_reaches_the_workers() {
	for n in 1 2 3 4; do
		echo evaluate
	done >lines.t2l
	"$t2l" batch lines.t2l --workers 2 >out 2>err &
	pid=$!
	sleep 1
	kill -s TERM $pid
	ended=0
	wait $pid || ended=$?
	same "$ended" 130
}

a_file_that_runs_itself_ends() {
	echo 'batch self.t2l' >self.t2l
	ends 1 batch self.t2l
	says err 'does a file run itself'
}

objects_become_lines() {
	ends 0 generate --quiet --task "write the plural" --name many
	awk 'BEGIN { printf "{\"command\":\"catalog show\",\"json\":true,\"arguments\":[\"many\"";
		for (i = 1; i < 600; i++) printf ",\"many\""; print "]}" }' >many.t2l
	ends 0 batch many.t2l
	lines out 600
	printf '%s\n' '{"command":"infer","prompt":"-x","max-tokens":2,"json":true,"precise":false}' >dash.t2l
	ends 0 batch dash.t2l
	says out '"prompt":"-x"'
	for object in '{"command":7}' '{"prompt":"x"}' '{"command":"infer","prompt":null}' \
		'{"command":"infer","prompt":{"a":1}}' '{"command":"infer","prompt":[[1]]}' \
		'{"command":"catalog show","arguments":true}' '{"command":"version","bogus":1}' '{"command"'; do
		printf '%s\n' "$object" >bad.t2l
		ends 2 batch bad.t2l
		says err 'bad.t2l line 1'
	done
}

a_line_has_its_own_settings_file() {
	printf '[infer]\nmax_tokens = 1\n' >one.toml
	printf '%s\n' 'infer --prompt house --json --config one.toml' 'infer --prompt house --json' \
		>lines.t2l
	ends 0 batch lines.t2l
	same "$(field tokens out | head -n 1)" 1
	[ "$(field tokens out | tail -n 1)" -gt 1 ]
	printf '/infer --prompt house --json --config one.toml\n' | "$t2l" infer --interactive >out
	same "$(field tokens out)" 1
	echo 'infer --prompt house --config none.toml' >lines.t2l
	ends 2 batch lines.t2l
	says err none.toml
}

options_that_say_two_things_are_refused() {
	ends 2 infer --prompt x --greedy --temperature 1
	says err --greedy --temperature
	ends 2 infer --prompt x --raw --system y
	says err --raw --system
	ends 2 infer --prompt x --raw --chat-template chatml
	ends 2 infer --interactive --prompt x
	says err --interactive --prompt
	ends 2 generate --task x --variant S --model-size large --output made.safetensors
	says err --variant --model-size
	ends 2 evaluate --adapter "$adapter" --method icl
	ends 2 export --adapter "$adapter" --quantization q4_0 --precision fp16 --output made
	ends 2 apply --task x --prompt y --variant XL
	says err 'S M L'
	[ ! -e made ] && [ ! -e made.safetensors ]
}

the_settings_file_of_the_original_works() {
	cat >config.yaml <<-CONFIG
		t2l:
		  hypernetwork:
		    model_size: Large
		    input_dim: 768
		    dropout: 0.1
		  lora:
		    rank: 32
		    alpha: 64.0
		    target_modules: ["q_proj", "k_proj", "v_proj", "o_proj"]
		  device:
		    device_type: CUDA
		    mixed_precision: true
		server:
		  port: 8080
		  max_concurrent: 100
	CONFIG
	ends 0 generate --config config.yaml --task "Your task here" --output made.safetensors
	says err 'config.yaml:4' 'config.yaml:7' 'config.yaml:8' 'config.yaml:9' 'config.yaml:11'
	ends 0 generate --config config.yaml --task "Your task here" --output made.safetensors --quiet
	lines err 0
	while read -r line from to; do
		sed "${line}s/$from/$to/" config.yaml >wrong.yaml
		ends 2 generate --config wrong.yaml --task x --output made.safetensors
		says err wrong.yaml:
	done <<-CHANGES
		3 Large Huge
		4 768 0
		5 0.1 2
		6 lora lorra
		7 32 1000
		8 64.0 none
		11 CUDA TPU
		12 true maybe
		14 8080 80800
		15 max_concurrent max_current
	CHANGES
	T2L_LORA_RANK=8 "$t2l" generate --task x --output made.safetensors 2>err
	lines err 0
}

a_recipe_in_the_project_file_is_looked_at() {
	printf '[model]\nsize = "large"\n[training]\nnum_epochs = 10\n[optimizer]\ntype = "adamw"\n' >t2l.toml
	ends 0 infer --prompt house
	printf '[training]\nnum_epoks = 10\n' >t2l.toml
	ends 2 infer --prompt house
	says err t2l.toml:2 num_epoks
}

full_precision_is_a_setting() {
	ends 0 score --tokens 104,111,117 --json --precise
	cp out precise
	T2L_ENGINE_MIXED_PRECISION=false
	export T2L_ENGINE_MIXED_PRECISION
	ends 0 score --tokens 104,111,117 --json
	cmp out precise
}

an_interrupt_ends_what_reads_and_counts() {
	awk 'BEGIN { for (i = 0; i < 1000000; i++) printf "{\"text\":\"some text %d\"}\n", i }' >texts.jsonl
	mkfifo pipe
	sleep 30 >pipe &
	writer=$!
	for line in 'embed --input-file texts.jsonl' 'score --input-file texts.jsonl' \
		'tokenize --input-file texts.jsonl' 'bench --prompt-tokens 256 --max-tokens 700 --lanes 64 --precise' \
		'infer --input-file -' 'batch -' 'infer --interactive'; do
		# shellcheck disable=SC2086
		"$t2l" $line <pipe >/dev/null 2>err &
		pid=$!
		sleep 0.6
		kill -s INT $pid
		began=$(date +%s)
		ended=0
		wait $pid || ended=$?
		same "$ended" 130
		[ $(($(date +%s) - began)) -lt 15 ]
	done
	kill $writer
}

evaluate_reads_a_file_of_answers() {
	printf '%s\n' '{"prompt":"house","response":" casa\n"}' '{"prompt":"cat","response":"perro"}' >queries.jsonl
	ends 0 evaluate --adapter "$adapter" --test-data queries.jsonl --metrics accuracy,response_time --json \
		--output results.json
	same "$(field n out)" 2
	same "$(field correct out)" 1
	same "$(field exact_match out)" 0.5
	says out '"response_ms_mean":' '"tokens_per_second":'
	cmp out results.json
	ends 0 evaluate --test-data queries.jsonl
	says out 'of 2'
	ends 2 evaluate --test-data queries.jsonl --metrics speed
	says err speed
	ends 2 evaluate --metrics accuracy
	printf '%s\n' '{"prompt":"house"}' >queries.jsonl
	ends 1 evaluate --test-data queries.jsonl
	says err response
	ends 0 evaluate --test-data queries.jsonl --metrics response_time
	printf '%s\n' '{"prompt":7}' >queries.jsonl
	ends 1 evaluate --test-data queries.jsonl
	says err 'queries.jsonl line 1'
}

evaluate_writes_what_an_adapter_scored() {
	ends 0 evaluate --adapter "$adapter" --task es --per-task --json --output scored.jsonl
	lines out 2
	cmp out scored.jsonl
}

export_knows_quantised_types_and_the_prompts_of_a_task() {
	ends 0 export --adapter "$adapter" --format ggml --output q4.ggml --quantization q4_0 --json
	says out '"precision":"q4_0"'
	ends 0 export --adapter "$adapter" --format ggml --output edge.ggml --quantization q4_k_m --optimize-for mobile
	ends 0 export --adapter "$adapter" --format openai --output spanish.jsonl
	says err "'es'"
	ends 0 generate --quiet --task "Solve mathematical word problems step by step" --output other.safetensors
	ends 1 export --adapter other.safetensors --format openai --output other.jsonl
	says err --prompts --suite-task
	[ ! -e other.jsonl ]
}

token_prompts_come_from_files_too() {
	echo '104,111' >ids.txt
	ends 0 infer --tokens --input-file ids.txt --max-tokens 2 --json
	says out '"ids":['
	echo house >ids.txt
	ends 1 infer --tokens --input-file ids.txt
	says err 'ids.txt line 1'
}

the_repl_takes_what_is_in_range() {
	for line in 'max_tokens 0' 'seed 1.5' 'top_k -1' 'top_p 7' 'bogus 1' 'seed' 'temperature warm'; do
		ended=0
		printf '/set %s\n' "$line" | "$t2l" infer --interactive >out 2>err || ended=$?
		same "$ended" 2
	done
	printf '/set frequency_penalty 0.5\n/set max_tokens 2 \nhouse\n' | "$t2l" infer --interactive --json >out
	same "$(field tokens out)" 2
	ended=0
	printf 'ab\377\n' | "$t2l" infer --interactive >out 2>err || ended=$?
	same "$ended" 1
	says err UTF-8
}

# shows FILE TEXT: waits until it is there.
shows() {
	for _ in $(seq 300); do
		! grep -qF -e "$2" "$1" 2>/dev/null || return 0
		sleep 0.1
	done
	echo "'$2' did not come into $1"
	return 1
}

ctrl_c_empties_a_line_and_leaves_at_an_empty_one() {
	command -v script >/dev/null || exit 77
	ends 0 infer --prompt house
	mkfifo keys
	script -qefc "$t2l infer --interactive" typescript <keys >/dev/null &
	pid=$!
	exec 3>keys
	shows typescript '> '
	printf nonsense >&3
	shows typescript nonsense
	printf '\003' >&3
	sleep 1
	printf 'house\n' >&3
	shows typescript "$(cat out)"
	sleep 1
	printf '\003' >&3
	ended=0
	wait $pid || ended=$?
	exec 3>&-
	same "$ended" 0
	says "$T2L_HOME/repl-history" house
	lacks "$T2L_HOME/repl-history" nonsense
}

changes_of_the_catalog_are_told_in_json() {
	ends 0 generate --quiet --task "write the plural" --name row
	while read -r line; do
		# shellcheck disable=SC2086
		ends 0 catalog $line --json
		lines out 1
		says out '"task":"write the plural"'
	done <<-LINES
		rename row line
		tag good line
		note line hello
		favourite line
		rm line
		undo
		show line
	LINES
	says out '"tags":["good"]' '"note":"hello"' '"favourite":true' '"lineage":[]' '"evaluations":[]'
	ends 0 catalog verify --json
	says out '"valid":true,"problems":0'
	ends 2 catalog similar line --sort name
	ends 0 config set infer.seed 4 --json
	says out '"key":"infer.seed","value":"4"'
}

places_that_are_not_there_are_named() {
	ended=0
	T2L_DATADIR=/nowhere "$t2l" infer --prompt x 2>err || ended=$?
	same "$ended" 1
	says err demo-base /nowhere T2L_DATADIR
	ends 1 infer --base-model no-such-model --prompt x
	says err no-such-model
	ended=0
	T2L_HOME=/proc/no/home "$t2l" catalog list 2>err || ended=$?
	same "$ended" 1
	says err /proc/no/home T2L_HOME
}

# holds WANTED FOUND: every line of one is in the other.
holds() {
	missing=$(grep -vxF -f "$2" "$1" || true)
	[ -z "$missing" ] || {
		echo "not in $2: $missing"
		return 1
	}
}

lacks_empty_lines() {
	! grep -n '^$' "$1"
}

man_page_and_completions_hold_every_option() {
	ends 0 help --json
	cp out commands
	ends 0 help --man
	sed 's/\\-/-/g' out >man
	grep -o -e '--[a-z-]*' man >man-options
	lacks_empty_lines man
	"$t2l" config show --json | sed 's/^{"key":"\([^"]*\)".*/.It \1/' >settings
	holds settings man
	while read -r object; do
		name=$(echo "$object" | sed 's/^{"command":"\([^"]*\)".*/\1/')
		says man ".Ss t2l $name"
		echo "$object" | grep -o '{"name":"[^"]*"' | sed 's/{"name":"\(.*\)"/--\1/' >wanted
		holds wanted man-options
		# shellcheck disable=SC2086
		ends 0 help $name
		grep -o -e '--[a-z-]*' out >found
		holds wanted found
		ends 0 help --complete "$name --"
		holds wanted out
	done <commands
	for shell in bash zsh fish; do
		ends 0 help --completion $shell
		says out 'help --complete'
	done
	bash -n <<-SCRIPT
		$("$t2l" help --completion bash)
	SCRIPT
	ends 2 help --completion tcsh
}

run_tests workers_write_in_the_order_of_the_lines workers_resume_where_they_stopped \
	an_interrupt_reaches_the_workers a_file_that_runs_itself_ends objects_become_lines \
	a_line_has_its_own_settings_file options_that_say_two_things_are_refused \
	the_settings_file_of_the_original_works a_recipe_in_the_project_file_is_looked_at \
	full_precision_is_a_setting an_interrupt_ends_what_reads_and_counts evaluate_reads_a_file_of_answers \
	evaluate_writes_what_an_adapter_scored export_knows_quantised_types_and_the_prompts_of_a_task \
	changes_of_the_catalog_are_told_in_json ctrl_c_empties_a_line_and_leaves_at_an_empty_one \
	token_prompts_come_from_files_too the_repl_takes_what_is_in_range places_that_are_not_there_are_named \
	man_page_and_completions_hold_every_option
