#!/bin/sh
# base-models.sh - what a base model says of itself: its text, shapes, speed and other forms.
# shellcheck disable=SC2154
. "${T2L_SRCDIR:?run by make check}/tests/cli/checks.sh"

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

run_tests a_tokenizer_needs_no_weights bytes_that_are_no_text_come_in_base64 \
	an_id_outside_the_vocabulary_is_named
