#!/bin/sh
# Checkpoints of text-to-lora, as its own program writes them: run, converted, refused.
. "${0%/*}/checks.sh"

cases=$T2L_SRCDIR/tests/golden/hypernet/reference
checkpoint=$cases/L_recon_zscore

a_checkpoint_makes_adapters_without_a_base() {
	ends 0 generate --model "$checkpoint" --embedding "$checkpoint/golden.safetensors" --output made
	[ "$(find made -name '*.safetensors' | wc -l)" -eq 2 ]
	ends 0 inspect made/001-task-1.safetensors
	says out tiny-llama
	ends 0 generate --model "$checkpoint/hypermod.pt" --embedding "$checkpoint/golden.safetensors" --output again
	cmp made/001-task-1.safetensors again/001-task-1.safetensors
}

a_converted_checkpoint_makes_the_same_adapters() {
	ends 0 convert "$checkpoint" own.safetensors
	says out own.safetensors
	for model in "$checkpoint" own.safetensors; do
		ends 0 generate --model "$model" --embedding "$checkpoint/golden.safetensors" --output made --json
		field hash out >"$(basename "$model").hashes"
		rm -r made
	done
	cmp L_recon_zscore.hashes own.safetensors.hashes
	ends 1 convert "$checkpoint" own.safetensors
	says err own.safetensors --force
	ends 2 convert "$checkpoint" own.gguf
	ends 2 convert "$checkpoint" other --to gguf
	says err --to .safetensors
	[ ! -e own.gguf ] && [ ! -e other ]
	ends 0 convert "$checkpoint" own.safetensors --force --precision fp16
	ends 0 generate --model own.safetensors --embedding "$checkpoint/golden.safetensors" --output half
}

the_text_encoder_is_asked_for_by_name() {
	ends 1 generate --model "$checkpoint" --task "sort the words" --output made
	says err tiny-gte --encoder
	ends 1 generate --model "$checkpoint" --encoder "$T2L_DATADIR/models/demo-encoder" --task "sort the words" \
		--output made
	says err 24 384
	[ ! -e made ]
}

a_checkpoint_of_one_hot_vectors_says_so_before_an_encoder_is_missed() {
	cp -r "$checkpoint" hot
	chmod -R u+w hot
	sed -e 's/^use_one_hot_task_emb: .*/use_one_hot_task_emb: true/' -e '/^- task_/d' \
		-e 's/^train_ds_names:.*/train_ds_names: [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v, w, x]/' \
		"$checkpoint/args.yaml" >hot/args.yaml
	ends 1 generate --model hot --task "sort the words" --output made
	says err 'takes no descriptions' one-hot --embedding
	lacks err share/get-minilm
	ends 1 apply --model hot --task "sort the words" --prompt house
	says err 'takes no descriptions'
	ends 0 generate --model hot --embedding "$checkpoint/golden.safetensors" --output made
}

what_is_damaged_is_named_and_nothing_is_run() {
	cp -r "$checkpoint" damaged
	cp "$T2L_SRCDIR/tests/golden/hypernet/malicious/reduce_zip.pt" damaged/hypermod.pt
	ends 1 generate --model damaged --embedding "$checkpoint/golden.safetensors" --output made
	says err hypermod.pt 'nothing was run'
	head -c 100000 "$checkpoint/hypermod.pt" >damaged/hypermod.pt
	ends 1 generate --model damaged --embedding "$checkpoint/golden.safetensors" --output made
	says err hypermod.pt
	cp "$checkpoint/hypermod.pt" damaged/hypermod.pt
	sed 's/^shared_AB_head: false/shared_AB_head: true/' "$checkpoint/args.yaml" >damaged/args.yaml
	ends 1 convert damaged made
	says err args.yaml shared_AB_head
	rm damaged/args.yaml
	ends 1 generate --model damaged --embedding "$checkpoint/golden.safetensors" --output made
	says err args.yaml
	[ ! -e made ]
	! ls PWNED* 2>/dev/null
}

no_folder_stays_when_nothing_comes_of_it() {
	header='{"task_emb":{"dtype":"F32","shape":[2,24],"data_offsets":[0,192]}}'
	{
		printf '%b\0\0\0\0\0\0\0%s' "\\0$(printf '%o' ${#header})" "$header"
		i=0
		while [ $i -lt 48 ]; do
			printf '\231\166\226\176' # 1e38
			i=$((i + 1))
		done
	} >far.safetensors
	ends 1 generate --model "$checkpoint" --embedding far.safetensors --output made
	says err 'is not a number'
	[ ! -e made ]
	mkdir made
	ends 1 generate --model "$checkpoint" --embedding far.safetensors --output made
	[ -d made ]
}

a_description_is_taken_or_not_understood() {
	while read -r sentence; do
		ends 0 generate --task "$sentence" --output made.safetensors --json
		says out made.safetensors
	done <<-SENTENCES
		Schreibe das Wort rückwärts, ohne die Groß- und Kleinschreibung zu ändern
		écris le mot à l'envers 🙂
		say 猫 in English
	SENTENCES
	rm made.safetensors
	while read -r sentence; do
		ends 1 generate --task "$sentence" --output made.safetensors
		says err demo-encoder ' knows 0 of ' language
		[ ! -e made.safetensors ]
	done <<-SENTENCES
		この単語を逆さに書いてください
		اكتب الكلمة بالعكس
		напиши слово задом наперёд 🙂
	SENTENCES
	printf 'write the plural\nнапиши слово\n' >tasks.txt
	ends 1 generate --batch-file tasks.txt --output many
	says err 'line 2' demo-encoder
}

run_tests no_folder_stays_when_nothing_comes_of_it \
	a_description_is_taken_or_not_understood a_checkpoint_makes_adapters_without_a_base a_converted_checkpoint_makes_the_same_adapters \
	the_text_encoder_is_asked_for_by_name a_checkpoint_of_one_hot_vectors_says_so_before_an_encoder_is_missed \
	what_is_damaged_is_named_and_nothing_is_run
