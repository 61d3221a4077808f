/*
 * describe.c - a description becomes an adapter, the adapter answers.
 *
 *     cc describe.c $(pkg-config --cflags --libs t2l) -o describe
 *     ./describe share/models "write the plural of the word" house
 */
#include <stdio.h>
#include <stdlib.h>

#include <t2l.h>

static struct t2l_error err;
#define TRY(call) ((call) == T2L_OK ? (void)0 : (fprintf(stderr, "%s\n", err.message), exit(1)))

int
main(int argc, char **argv)
{
	struct t2l_engine *engine;
	struct t2l_model *model;
	struct t2l_encoder *encoder;
	struct t2l_hypernet *hypernet;
	struct t2l_adapter *adapter;
	struct t2l_session *session;
	char path[4096];
	int32_t *ids;
	size_t n;

	if (argc != 4)
		return fprintf(stderr, "usage: describe MODELS TASK PROMPT\n"), 2;
	TRY(t2l_engine_open(NULL, &engine, &err));
	snprintf(path, sizeof path, "%s/demo-base", argv[1]);
	TRY(t2l_model_open(engine, path, &model, &err));
	snprintf(path, sizeof path, "%s/demo-encoder", argv[1]);
	TRY(t2l_encoder_open(engine, path, &encoder, &err));
	snprintf(path, sizeof path, "%s/demo-L.safetensors", argv[1]);
	TRY(t2l_hypernet_open(engine, path, &hypernet, &err));

	float *embedding = malloc(sizeof(float) * (size_t)t2l_hypernet_facts(hypernet)->embedding_size);
	TRY(t2l_hypernet_embed(hypernet, encoder, argv[2], embedding, &err));
	TRY(t2l_hypernet_generate(hypernet, embedding, argv[2], &adapter, &err));

	struct t2l_message message = { "user", argv[3] };
	struct t2l_chat_options form = { .add_generation_prompt = true };
	TRY(t2l_chat_encode(model, &message, 1, &form, &ids, &n, &err));

	const struct t2l_adapter *lane = adapter;
	struct t2l_sampling sampling = t2l_sampling_default();
	struct t2l_run run = { .sampling = &sampling, .max_tokens = 64 };
	struct t2l_lane_result result;
	sampling.greedy = true;
	TRY(t2l_session_open(model, 1, 0, &session, &err));
	TRY(t2l_session_set_adapters(session, 0, &lane, &(float){ 1 }, 1, &err));
	TRY(t2l_session_set_prompt(session, 0, ids, n, &err));
	TRY(t2l_session_run(session, &run, &result, &err));
	puts(t2l_session_output(session, 0, &n));
	return 0;
}
