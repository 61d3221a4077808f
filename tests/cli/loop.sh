#!/bin/sh
# The main loop from outside: describe, generate, compare, merge, export, import, and all in the forms that scripts rely on.
. "${0%/*}/checks.sh"

# One adapter that most tests look at; made anew wherever it is missing, so that each test stands alone.
have() {
	"$t2l" catalog path "$1" >path.out 2>&1 || "$t2l" generate --quiet --task "$2" --name "$1" >path.out
}
have_plural() { have plural "write the plural of the word"; }
have_capitals() { have capitals "write the word in capital letters"; }

generate_writes_a_native_file() {
	ends 0 generate --task "write the plural of the word" --output a.safetensors --validate --json
	lines out 1
	same "$(field path out)" a.safetensors
	same "$(field task out)" "write the plural of the word"
	ends 0 inspect a.safetensors --json
	says out '"kind":"adapter"' '"format":"native"' '"task":"write the plural of the word"'
}

generate_writes_a_peft_directory() {
	ends 0 generate --task "write the plural of the word" --output a --format peft --json
	[ -f a/adapter_model.safetensors ]
	says a/adapter_config.json '"peft_type"' '"LORA"' '"r"' q_proj v_proj
	ends 0 inspect a --json
	says out '"format":"peft"'
}

the_same_sentence_gives_the_same_numbers() {
	ends 0 generate --task "write the plural of the word" --output a.safetensors --json
	first=$(field hash out)
	ends 0 generate --task "write the plural of the word" --output b.safetensors --json
	same "$(field hash out)" "$first"
	ends 0 generate --task "write the word in capital letters" --output c.safetensors --json
	[ "$(field hash out)" != "$first" ]
}

each_variant_answers_rightly() {
	for variant in S M L; do
		ends 0 generate --task "write the plural of the word" --variant $variant --output $variant.safetensors
		ends 0 infer --adapter $variant.safetensors --prompt house --greedy
		same "$(cat out)" houses
	done
	ends 0 generate --task "write the plural of the word" --model-size small --output small.safetensors --json
	cmp S.safetensors small.safetensors
}

a_batch_file_of_sentences_fills_a_folder() {
	printf 'write the plural of the word\n\nwrite the word in capital letters\r\n' >tasks.txt
	ends 0 generate --batch-file tasks.txt --output made --json
	lines out 2
	[ -f made/001-write-the-plural-of-the-word.safetensors ]
	[ -f made/002-write-the-word-in-capital-letters.safetensors ]
	ends 0 infer --adapter made/002-write-the-word-in-capital-letters.safetensors --prompt house --greedy
	same "$(cat out)" HOUSE
}

a_batch_file_of_json_names_its_outputs() {
	printf '%s\n' '{"task":"write the plural of the word","output":"p.safetensors"}' \
		'{"task":"write the word in capital letters","name":"capitals-of-a-file"}' >tasks.jsonl
	ends 0 generate --batch-file tasks.jsonl --workers 1 --json
	lines out 2
	[ -f p.safetensors ]
	ends 0 catalog show capitals-of-a-file --json
	says out '"task":"write the word in capital letters"'
}

the_size_of_a_batch_does_not_change_an_adapter() {
	printf 'write the plural of the word\nwrite the word in capital letters\nreverse the letters\n' >tasks.txt
	ends 0 generate --batch-file tasks.txt --output one --workers 1
	ends 0 generate --batch-file tasks.txt --output many --workers 3
	for file in one/*; do
		cmp "$file" "many/${file#one/}"
	done
}

a_batch_that_fails_tells_what_it_has_written() {
	printf '%s\n' '{"task":"write the plural","output":"a.safetensors"}' \
		'{"task":"write the plural","output":"b.safetensors"}' \
		'{"task":"write the plural","output":"no-folder/c.safetensors"}' \
		'{"task":"write the plural","output":"d.safetensors"}' >tasks.jsonl
	for workers in 1 2 4; do
		ends 1 generate --batch-file tasks.jsonl --workers $workers --json
		says out '"path":"a.safetensors"' '"path":"b.safetensors"'
		says err no-folder/c.safetensors
		lines out "$(find . -name '?.safetensors' | wc -l)"
		ends 0 inspect b.safetensors
		rm ./?.safetensors
	done
}

a_batch_with_a_wrong_description_is_refused_before_it_is_made() {
	printf 'write the plural\n\nwrite the plural\n \303\n' >tasks.txt
	ends 1 generate --batch-file tasks.txt --workers 1 --output made --json
	lines out 0
	says err 'line 4' UTF-8
	for _ in $(seq 32); do echo 'write the plural'; done >many.txt
	cat tasks.txt >>many.txt
	ends 1 generate --batch-file many.txt --output made --json
	lines out 32
	says err 'line 36' UTF-8
}

a_killed_batch_leaves_whole_files() {
	for _ in $(seq 200); do echo 'write the plural of the word'; done >tasks.txt
	"$t2l" generate --batch-file tasks.txt --workers 2 --output made >out 2>err &
	pid=$!
	while [ ! -e made/003-write-the-plural-of-the-word.safetensors ]; do
		kill -0 $pid
	done
	kill -9 $pid
	wait $pid || true
	for file in made/*.safetensors; do
		ends 0 inspect "$file"
	done
	ends 0 generate --batch-file tasks.txt --output made
	lines out 200
}

generate_keeps_name_and_tags() {
	ends 0 generate --task "write the plural" --name tagged --tag grammar --tag nouns --json
	says out '"name":"tagged"' '"id":'
	ends 0 catalog show tagged --json
	says out '"tags":["grammar","nouns"]' '"source":"generated"' '"base":"demo-base"'
}

catalog_finds_renames_tags_and_notes() {
	ends 0 generate --quiet --task "write the past tense of the verb" --name found
	ends 0 catalog search "past tense" --json
	says out '"name":"found"'
	ends 0 catalog search "tense verb" --near --limit 1 --json
	same "$(field name out)" found
	ends 0 catalog rename found yesterday
	ends 0 catalog tag verbs yesterday
	ends 0 catalog note yesterday works well with short verbs
	ends 0 catalog favourite yesterday
	ends 0 catalog search tag:verbs --json
	lines out 1
	says out '"name":"yesterday"' '"note":"works well with short verbs"' '"favourite":true'
	ends 0 catalog tag --remove verbs yesterday
	ends 0 catalog search tag:verbs --json
	lines out 0
	ends 1 catalog show found
	says err found
}

catalog_removes_and_brings_back() {
	ends 0 generate --quiet --task "write the plural" --name fleeting
	file=$("$t2l" catalog path fleeting)
	ends 0 catalog rm fleeting
	ends 1 catalog path fleeting
	ends 0 catalog list --trash --json
	says out '"name":"fleeting"'
	ends 0 catalog undo
	same "$("$t2l" catalog path fleeting)" "$file"
	[ -f "$file" ]
}

catalog_gc_deletes_what_no_row_names() {
	have_plural
	mkdir -p "$T2L_HOME/adapters/00"
	stray=$T2L_HOME/adapters/00/$(printf '%064d' 0).safetensors
	echo stray >"$stray"
	touch -d '2 days ago' "$stray"
	ends 0 catalog gc --dry-run --json
	says out '"files":1'
	[ -f "$stray" ]
	ends 0 catalog gc --json
	says out '"files":1'
	[ ! -f "$stray" ]
	ends 0 infer --adapter plural --prompt house
}

catalog_verify_tells_of_a_changed_file() {
	have_plural
	ends 0 catalog verify
	file=$("$t2l" catalog path plural)
	cp "$file" kept
	chmod u+w "$file"
	printf x | dd of="$file" bs=1 seek=50000 conv=notrunc 2>/dev/null
	ends 1 catalog verify --json
	says out '"problem"' "$file"
	cp kept "$file"
	ends 0 catalog verify
}

compare_prints_each_form() {
	have_plural
	ends 0 compare --adapter plural --adapter base --prompt house --prompt dog --greedy
	says out houses dogs plural base
	ends 0 compare --adapter plural --adapter base --prompt house --greedy --format markdown
	says out '| prompt | plural | base |' '| house | houses |'
	ends 0 compare --adapter plural --adapter base --prompt 'a<b' --greedy --format html --output page.html
	says page.html '<table' 'a&lt;b'
	lacks page.html 'a<b'
	ends 0 compare --adapter plural --adapter base --prompt house --greedy --format json
	says out houses plural
	ends 0 compare --adapter plural --adapter base --prompt house --greedy --keep
}

compare_gives_what_each_lane_gives_alone() {
	have_plural
	have_capitals
	ends 0 compare --adapter plural --adapter capitals --adapter base --prompt lamp --greedy --json
	cp out together
	for lane in plural capitals base; do
		ends 0 infer --adapter $lane --prompt lamp --greedy
		says together "$(cat out)"
	done
}

merge_mixes_by_weight() {
	have_plural
	have_capitals
	ends 0 merge --adapters plural capitals --weights 1,0 --output first.safetensors
	ends 0 infer --adapter first.safetensors --prompt house --greedy
	same "$(cat out)" houses
	ends 0 merge --adapters plural:0 capitals:1 --output second.safetensors
	ends 0 infer --adapter second.safetensors --prompt house --greedy
	same "$(cat out)" HOUSE
	ends 0 merge --adapters plural capitals --name merged --json
	ends 0 catalog show merged
	says out plural capitals
}

merge_takes_globs_of_files_and_of_names() {
	ends 0 generate --quiet --task "write the plural of the word" --output m-1.safetensors
	ends 0 generate --quiet --task "write the word in capital letters" --output m-2.safetensors
	ends 0 merge --adapters 'm-*.safetensors' --output all.safetensors --json
	mean=$(field hash out)
	ends 0 merge --adapters m-1.safetensors m-2.safetensors --weights 0.5,0.5 --output both.safetensors --json
	same "$(field hash out)" "$mean"
	ends 0 merge --adapters 'm-*.safetensors:0.5' --output weighted.safetensors --json
	same "$(field hash out)" "$mean"
	ends 0 generate --quiet --task "write the plural of the word" --name globbed-1
	ends 0 generate --quiet --task "write the word in capital letters" --name globbed-2
	ends 0 merge --adapters 'globbed-*' --output names.safetensors --json
	same "$(field hash out)" "$mean"
	ends 1 merge --adapters 'nothing-*' --output none.safetensors
	says err 'nothing-*'
	[ ! -e none.safetensors ]
}

merge_lists_its_strategies() {
	ends 0 merge --strategies
	says out linear
	ends 1 merge --adapters globbed-1 --merge-strategy sideways --output x.safetensors
	says err sideways
}

export_and_import_keep_the_numbers() {
	have_plural
	ends 0 export --adapter plural --format peft --output peft --json
	hash=$(field hash out)
	ends 0 import peft --name returned --task "write the plural of the word" --tag visitor --json
	ends 0 inspect returned --json
	same "$(field hash out)" "$hash"
	ends 0 catalog show returned --json
	says out '"source":"imported"' '"tags":["visitor"]'
	ends 0 infer --adapter returned --prompt house --greedy
	same "$(cat out)" houses
	ends 0 catalog show plural --json
	task=$(field task out)
	ends 0 export --adapter peft --format peft --output by-folder --task-description "double every letter"
	ends 0 inspect by-folder --json
	says out '"task":"double every letter"'
	ends 0 inspect peft --json
	says out "\"task\":\"$task\""
	ends 0 export --adapter plural --format native --output native.safetensors --json
	same "$(field hash out)" "$hash"
	for precision in fp16 bf16; do
		ends 0 export --adapter plural --format peft --precision $precision --output $precision
		ends 0 infer --adapter $precision --prompt house --greedy
		same "$(cat out)" houses
	done
}

infer_runs_lanes_and_mixes() {
	have_plural
	have_capitals
	ends 0 infer --adapter plural --compare-adapter base --prompt house --json
	lines out 2
	ends 0 infer --adapter plural:0+capitals:1 --prompt house --greedy --json
	says out '"adapter":"plural:0+capitals:1"' '"text":"HOUSE"' '"finish":"stop"' '"prefill_ms":' '"decode_ms":'
	ends 0 infer --adapter plural --prompt house --max-tokens 2 --json
	says out '"tokens":2' '"finish":"length"'
	ends 0 infer --adapter plural --prompt house --stop us --greedy
	same "$(cat out)" ho
}

infer_reads_and_writes_files() {
	have_plural
	printf 'house\ndog\n' >prompts.txt
	ends 0 infer --adapter plural --input-file prompts.txt --output-file r.jsonl
	lines r.jsonl 2
	says r.jsonl '"prompt":"house"' '"text":"houses"' '"text":"dogs"'
	printf '%s\n' '{"prompt":"house"}' '{"messages":[{"role":"user","content":"dog"}]}' >prompts.jsonl
	ends 0 infer --adapter plural --input-file prompts.jsonl --output-file s.jsonl
	same "$(field text r.jsonl)" "$(field text s.jsonl)"
	"$t2l" infer --adapter plural --input-file - --json <prompts.txt >piped
	same "$(field text piped)" "$(field text r.jsonl)"
}

token_prompts_are_taken_as_they_are() {
	have_plural
	printf '%s\n' '{"messages":[{"role":"user","content":"house"}],"add_generation_prompt":true}' >chat.jsonl
	ends 0 chat-template --input-file chat.jsonl
	text=$(field text out)
	ends 0 tokenize --text "$text" --special --add-special --json
	ids=$(sed 's/.*\[\(.*\)\].*/\1/' out)
	ends 0 infer --adapter plural --tokens --prompt "$ids" --greedy --json
	says out '"text":"houses"' '"ids":[104,111,117,115,101,115'
}

a_seed_makes_sampling_repeatable() {
	ends 0 infer --prompt house --temperature 2 --seed 7 --max-tokens 20
	cp out first
	ends 0 infer --prompt house --temperature 2 --seed 7 --max-tokens 20
	cmp first out
	for seed in 8 9 10; do
		ends 0 infer --prompt house --temperature 2 --seed $seed --max-tokens 20
		cmp -s first out || return 0
	done
	echo "four seeds gave one text"
	return 1
}

apply_generates_and_answers_in_one_go() {
	ends 0 apply --task "write the plural of the word" --prompt house --prompt dog --greedy
	same "$(cat out)" "houses
dogs"
	ends 0 apply --task "write the plural of the word" --prompt house --output answers.txt --name applied
	same "$(cat answers.txt)" houses
	ends 0 catalog show applied --json
}

score_gives_log_probabilities_and_logits() {
	have_plural
	ends 0 score --tokens 104,111,117,115,101 --adapter base --adapter plural --precise --save-logits l.safetensors --json
	lines out 2
	says out '"tokens":[104,111,117,115,101]' '"logprobs":[null,-' '"perplexity":'
	head -c 400 l.safetensors | tr -d '\000' >header
	says header '"logits"' '"logits.1"' '"F32"' '[5,'
	ends 0 score --text house --json
	says out '"adapter":"base"'
}

tokenize_goes_there_and_back() {
	ends 0 tokenize --text house --json
	same "$(cat out)" '{"ids":[104,111,117,115,101]}'
	ends 0 tokenize --decode --ids 104,111,117,115,101 --json
	same "$(cat out)" '{"text":"house"}'
	printf '%s\n' '{"text":"a"}' '{"base64":"w6k="}' >texts.jsonl
	ends 0 tokenize --input-file texts.jsonl --json
	same "$(cat out)" '{"ids":[97]}
{"ids":[195,169]}'
	printf '%s\n' '{"ids":[104,105]}' '{"ids":[195,169]}' >ids.jsonl
	ends 0 tokenize --decode --input-file ids.jsonl --json
	same "$(cat out)" '{"text":"hi"}
{"text":"é"}'
	ends 0 tokenize --decode --ids 104,195,169 --stream --json
	same "$(cat out)" '{"stream":["h",null,"é"]}'
}

chat_template_takes_a_file_of_its_own() {
	printf '%s' '{{ bos_token }}{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}' >t.jinja
	printf '%s\n' '{"messages":[{"role":"user","content":"house"}]}' >chat.jsonl
	ends 0 chat-template --chat-template t.jinja --bos-token '<s>' --input-file chat.jsonl
	same "$(cat out)" '{"text":"<s>[user]house"}'
	ends 0 chat-template --input-file chat.jsonl
	says out house
}

embed_gives_unit_vectors() {
	printf '%s\n' '{"text":"house"}' '{"text":"write the plural"}' >texts.jsonl
	ends 0 embed --input-file texts.jsonl --json
	lines out 2
	cp out both
	ends 0 embed --text house --json
	same "$(cat out)" "$(head -n 1 both)"
	sed 's/.*"embedding":\[\(.*\)\].*/\1/' out | tr , '\n' |
		awk '{ sum += $1 * $1 } END { exit !(NR > 8 && sum > 0.999 && sum < 1.001) }'
}

evaluate_counts_one_task() {
	ends 0 evaluate --task plural --method base --method t2l-plain --json --output rows.jsonl
	cmp out rows.jsonl
	lines out 2
	says out '"suite":"demo"' '"group":' '"method":"base"' '"method":"t2l-plain"' '"n":' '"correct":' '"exact_match":'
	base=$(grep '"method":"base"' out >row && field exact_match row)
	made=$(grep '"method":"t2l-plain"' out >row && field exact_match row)
	awk "BEGIN { exit !($made > $base && $made <= 1) }"
	ends 0 generate --quiet --task "write the plural of the word" --name judged
	ends 0 evaluate --task plural --adapter judged --json
	says out '"method":"adapter"'
	ends 0 catalog show judged --json
	says out '"score":'
}

batch_goes_on_and_resumes() {
	cat >lines.t2l <<'LINES'
generate --task "write the plural of the word" --name batched
catalog show missing-one
{"command":"merge","adapters":["batched","batched"],"weights":"0.5,0.5","output":"m.safetensors"}
LINES
	ends 1 batch lines.t2l --quiet
	says err 'lines.t2l line 2' missing-one
	[ ! -e m.safetensors ]
	ends 1 batch lines.t2l --keep-going
	[ -e m.safetensors ]
	printf 'generate --task "write the plural" --output r1.safetensors\ngenerate --task "" --output r2.safetensors\n' >r.t2l
	ends 1 batch r.t2l --resume
	[ -e r1.safetensors ]
	rm r1.safetensors
	ends 1 batch r.t2l --resume
	[ ! -e r1.safetensors ]
	printf 'generate --task "write the plural" --output r1.safetensors\n' >r.t2l
	ends 0 batch r.t2l --resume
	[ -e r1.safetensors ]
}

settings_come_from_where_they_say() {
	ends 0 config show --origin
	says out infer.max_tokens default
	ends 0 config set infer.max_tokens 3
	ends 0 config show infer.max_tokens --origin --json
	says out '"3"' config.toml
	printf '[infer]\nmax_tokens = 4\n' >t2l.toml
	ends 0 config show infer.max_tokens --origin
	says out 4 t2l.toml:2
	T2L_INFER_MAX_TOKENS=5
	export T2L_INFER_MAX_TOKENS
	ends 0 config show infer.max_tokens --origin
	says out 5 T2L_INFER_MAX_TOKENS
	ends 0 infer --prompt house --raw --json
	says out '"tokens":'
	ends 0 infer --prompt house --max-tokens 1 --json
	says out '"tokens":1,'
	unset T2L_INFER_MAX_TOKENS
	ends 0 config set infer.max_tokens 256
}

every_command_has_help() {
	ends 0 help
	commands=$(sed -n '/^Commands:/,/^$/s/^  \([a-z-]*\) .*/\1/p' out)
	[ "$(echo "$commands" | wc -l)" -ge 19 ]
	for command in $commands; do
		ends 0 "$command" --help
		says out "t2l $command" Usage:
		ends 0 help "$command"
		says out "t2l $command"
	done
	ends 0 help --man
	says out '.Dt' '.Sh' 't2l generate' 't2l catalog'
	for shell in bash zsh fish; do
		ends 0 help --completion $shell
		says out t2l
	done
	ends 0 help --complete "gener"
	same "$(cat out)" generate
	ends 0 version --verbose
	says out cpu sqlite
}

training_repeats_bit_by_bit() {
	for run in a b; do
		cat >$run.toml <<RECIPE
[model]
target_modules = "q_proj,v_proj"
rank = 2
lora_alpha = 4.0

[training]
mode = "lora"
steps = 2
seed = 3
batch_tasks = 1
batch_points = 2

[data]
suite = "$T2L_DATADIR/tasks/demo"
tasks = "es"
base_model = "$T2L_DATADIR/models/demo-base"
output = "$run"
log = "$run.jsonl"
RECIPE
		ends 0 train --config $run.toml --check
		says out lora "$run"
		[ ! -e $run ]
		ends 0 train --config $run.toml --quiet
		says $run.jsonl '"loss"' '"step"'
	done
	cmp a/es.safetensors b/es.safetensors
	ends 0 infer --adapter a/es.safetensors --prompt house --max-tokens 4
}

a_conversation_in_a_pipe() {
	printf '%s\n' '/task write the plural of the word' house '/save piped' '/use piped base' dog \
		'/set temperature 0' '/catalog list --json' /quit never |
		"$t2l" infer --interactive >out 2>err
	says out houses dogs piped base
	lacks out never
	ends 0 catalog show piped --json
	says out '"task":"write the plural of the word"'
	printf '/set top_p 2\n/use no-such-one\n' | "$t2l" infer --interactive >out 2>err && return 1
	says err top_p no-such-one
}

run_tests generate_writes_a_native_file generate_writes_a_peft_directory \
	the_same_sentence_gives_the_same_numbers each_variant_answers_rightly \
	a_batch_file_of_sentences_fills_a_folder a_batch_file_of_json_names_its_outputs \
	the_size_of_a_batch_does_not_change_an_adapter a_batch_that_fails_tells_what_it_has_written \
	a_batch_with_a_wrong_description_is_refused_before_it_is_made \
	a_killed_batch_leaves_whole_files generate_keeps_name_and_tags \
	catalog_finds_renames_tags_and_notes catalog_removes_and_brings_back \
	catalog_gc_deletes_what_no_row_names catalog_verify_tells_of_a_changed_file \
	compare_prints_each_form compare_gives_what_each_lane_gives_alone merge_mixes_by_weight \
	merge_takes_globs_of_files_and_of_names merge_lists_its_strategies \
	export_and_import_keep_the_numbers infer_runs_lanes_and_mixes infer_reads_and_writes_files \
	token_prompts_are_taken_as_they_are a_seed_makes_sampling_repeatable \
	apply_generates_and_answers_in_one_go score_gives_log_probabilities_and_logits \
	tokenize_goes_there_and_back chat_template_takes_a_file_of_its_own embed_gives_unit_vectors \
	evaluate_counts_one_task batch_goes_on_and_resumes settings_come_from_where_they_say \
	every_command_has_help training_repeats_bit_by_bit a_conversation_in_a_pipe
