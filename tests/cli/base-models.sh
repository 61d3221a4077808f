#!/bin/sh
# base-models.sh - what a base model says of itself: its text, shapes, speed and other forms.
# shellcheck disable=SC2154
. "${T2L_SRCDIR:?run by make check}/tests/cli/checks.sh"

base=$T2L_DATADIR/models/demo-base
tokenizers=$T2L_SRCDIR/tests/golden/tokenizers

a_tokenizer_needs_no_weights() {
	"$t2l" tokenize --base-model "$tokenizers/gpt2-style" --text "I'M" >ids
	"$t2l" tokenize --base-model "$tokenizers/gpt2-style/tokenizer.json" --text "I'M" >same
	cmp ids same
	says ids '"ids":['
}

bytes_that_are_no_text_come_in_base64() {
	"$t2l" tokenize --base-model "$tokenizers/llama2-style" --decode --ids 230 >out
	says out '"base64":"4w=="'
	"$t2l" tokenize --base-model "$tokenizers/llama2-style" --decode --ids 1496 >out
	lacks out base64
}

an_id_outside_the_vocabulary_is_named() {
	ends 1 tokenize --base-model "$tokenizers/llama2-style" --decode --ids 5,1600
	says err "token id 1600 is outside the vocabulary" "0 to 1599"
}

chat_templates_go_by_family() {
	printf '%s\n' '{"messages":[{"role":"user","content":"hi"}],"add_generation_prompt":true}' >in
	"$t2l" chat-template --chat-template chatml --input-file in >out
	says out '"text":"<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n"'
	ends 1 chat-template --chat-template no-such-family --input-file in
	says err "no-such-family" "chatml"
}

a_template_without_system_messages_gets_them_before_the_users() {
	printf '%s' "{% if messages[0].role == 'system' %}{{ raise_exception('no') }}{% endif %}" \
		"{% for m in messages %}{{ m.content }}{% endfor %}" >t.jinja
	"$t2l" infer --prompt house --system "Say it." --chat-template t.jinja --max-tokens 2 >out 2>err
	says err "no system message"
}

a_model_tells_what_it_is_and_needs() {
	"$t2l" inspect "$base" --json --context 100 >out
	says out '"kind":"model"' '"architecture":"llama"' '"name":"model.embed_tokens.weight"' \
		'"context":100' '"kv_q8_0":' '"chat_template":true'
}

a_check_reads_every_weight() {
	"$t2l" inspect "$base" --check >out
	says out "all are numbers"
	"$t2l" inspect "$base" --check --json >out
	says out '"weights_are_numbers":true'
}

a_bench_gives_shares() {
	"$t2l" bench --base-model "$base" --prompt-tokens 20 --max-tokens 4 --json >out
	lines out 4
	says out '"what":"prefill"' '"what":"decode"' '"unit":"tokens/s"' '"share":'
}

a_model_is_quantised_with_its_errors_told() {
	gguf=$T2L_SRCDIR/tests/golden/models/gguf/llama2-f16.gguf
	[ -f "$gguf" ] || exit 77
	"$t2l" quantize "$gguf" q.gguf --type q4_k_m --json >out
	says out '"tensor":"blk.0.attn_q.weight"' '"to":"q5_0"' '"rms_error":'
	"$t2l" inspect q.gguf >out
	says out q5_0 q8_0
	ends 1 quantize "$gguf" q.gguf --type q8_0
	says err "already there" "--force"
}

a_directory_is_quantised_too() {
	"$t2l" quantize "$base" q.gguf --type q8_0 --json >out
	says out '"tensor":"token_embd.weight"' '"to":"q8_0"' '"tensor":"blk.0.attn_norm.weight","from":"f32","to":"f32"'
	"$t2l" infer --base-model q.gguf --prompt house --max-tokens 4 >out
	ends 1 quantize "$work" none.gguf --type q8_0
	says err config.json
}

a_base_model_becomes_gguf_and_a_directory_again() {
	"$t2l" convert "$base" model.gguf >out
	says out "model.gguf:" "bits a number"
	"$t2l" convert model.gguf model --json >out
	says out '"conversion":"model"' '"format":"hf"' '"tensor":"model.layers.0.self_attn.q_proj.weight"'
	for form in "$base" model.gguf model; do
		"$t2l" inspect "$form" --json >out
		field fingerprint out >>fingerprints
		"$t2l" infer --base-model "$form" --prompt house --max-tokens 8 >>answers
		"$t2l" tokenize --base-model "$form" --text "I'm <|user|> ü" >>ids
	done
	for what in fingerprints answers ids; do
		same "$(sort -u "$what" | wc -l | tr -d ' ')" 1
	done
}

a_conversion_overwrites_only_with_force() {
	"$t2l" convert "$base" model.gguf --precision q8_0 >out
	says out "the most is lost in"
	ends 1 convert "$base" model.gguf
	says err "already there" "--force"
	"$t2l" convert "$base" model.gguf --force --precision f32 >out
	says out "32.00 bits"
	mkdir there && echo mine >there/notes
	ends 1 convert model.gguf there
	"$t2l" convert model.gguf there --force >out
	says there/notes mine
	says there/config.json LlamaForCausalLM
}

what_cannot_be_converted_is_named_and_leaves_nothing() {
	models=$T2L_SRCDIR/tests/golden/models
	[ -f "$models/llama2/config.dynamic.json" ] || exit 77
	mkdir dynamic
	cp "$models/llama2/config.dynamic.json" dynamic/config.json
	cp "$models/llama2/model.safetensors" dynamic
	ends 1 convert dynamic out.gguf
	says err "dynamic" "cannot say this"
	"$t2l" convert "$base" model.gguf >out
	ends 1 convert model.gguf model --precision q4_0
	says err "f32, f16 or bf16"
	ends 2 convert model.gguf model --head-dim 16
	says err "--head-dim is for adapters"
	ends 2 convert "$base" other.gguf --to mlx
	says err "can become gguf"
	head -c 200000 model.gguf >cut.gguf
	ends 1 convert cut.gguf model
	says err cut.gguf
	for name in out.gguf model other.gguf; do
		[ ! -e "$name" ]
	done
}

the_kv_cache_may_be_quantised() {
	"$t2l" infer --prompt house --kv-type q8_0 --max-tokens 2 >out
	ends 2 infer --prompt house --kv-type q5_1
}

a_model_without_a_tokenizer_answers_in_ids() {
	model=$T2L_SRCDIR/tests/golden/models/llama2
	"$t2l" infer --base-model "$model" --tokens --prompt 1,5,9,20 --max-tokens 3 --greedy --json >out
	ids=$(sed 's/.*"ids":\[\([0-9,]*\)\].*/\1/' out)
	[ "$(echo "$ids" | tr -cd , | wc -c)" = 2 ]
	"$t2l" infer --base-model "$model" --tokens --prompt 1,5,9,20 --max-tokens 3 --greedy >out
	[ "$(cat out)" = "$ids" ]
}

run_tests a_tokenizer_needs_no_weights bytes_that_are_no_text_come_in_base64 \
	an_id_outside_the_vocabulary_is_named chat_templates_go_by_family \
	a_template_without_system_messages_gets_them_before_the_users \
	a_model_tells_what_it_is_and_needs a_check_reads_every_weight a_bench_gives_shares \
	a_model_is_quantised_with_its_errors_told a_directory_is_quantised_too \
	a_base_model_becomes_gguf_and_a_directory_again a_conversion_overwrites_only_with_force \
	what_cannot_be_converted_is_named_and_leaves_nothing the_kv_cache_may_be_quantised \
	a_model_without_a_tokenizer_answers_in_ids
