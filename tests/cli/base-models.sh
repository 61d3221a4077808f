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

the_kv_cache_may_be_quantised() {
	"$t2l" infer --prompt house --kv-type q8_0 --max-tokens 2 >out
	ends 2 infer --prompt house --kv-type q5_1
}

run_tests a_tokenizer_needs_no_weights bytes_that_are_no_text_come_in_base64 \
	an_id_outside_the_vocabulary_is_named chat_templates_go_by_family \
	a_template_without_system_messages_gets_them_before_the_users \
	a_model_tells_what_it_is_and_needs a_check_reads_every_weight a_bench_gives_shares \
	a_model_is_quantised_with_its_errors_told the_kv_cache_may_be_quantised
