# engine/text: tokenizers, chat templates, Unicode.
engine_libt2l_la_SOURCES += \
	engine/text/added-tokens.c engine/text/added-tokens.h \
	engine/text/bpe.c engine/text/bpe.h \
	engine/text/byte-level.c engine/text/byte-level.h \
	engine/text/byte-level-families.c \
	engine/text/chat.c engine/text/chat.h \
	engine/text/chat-builtin.c engine/text/chat-builtin.h \
	engine/text/chat-template.c engine/text/chat-template.h \
	engine/text/decoder.c engine/text/decoder.h \
	engine/text/ids.c engine/text/ids.h \
	engine/text/jinja-evaluate.c \
	engine/text/jinja-expressions.c \
	engine/text/jinja-filters.c \
	engine/text/jinja-lexer.c engine/text/jinja-lexer.h \
	engine/text/jinja-methods.c \
	engine/text/jinja-run.c engine/text/jinja-run.h \
	engine/text/jinja-statements.c engine/text/jinja-parser.h \
	engine/text/jinja-text.c \
	engine/text/jinja-value.c engine/text/jinja.h \
	engine/text/normalizer.c engine/text/normalizer.h \
	engine/text/pattern.c engine/text/pattern.h \
	engine/text/pipeline.c engine/text/pipeline.h \
	engine/text/pretokenizer.c engine/text/pretokenizer.h \
	engine/text/protobuf.c engine/text/protobuf.h \
	engine/text/token-list.c engine/text/token-list.h \
	engine/text/tokenizer-create.c \
	engine/text/tokenizer-describe.c engine/text/tokenizer-write-json.c \
	engine/text/tokenizer-save.h \
	engine/text/tokenizer-directory.c \
	engine/text/tokenizer-json-ends.c \
	engine/text/tokenizer-json-stages.c \
	engine/text/tokenizer-json.c engine/text/tokenizer-json.h \
	engine/text/tokenizer-ranks.c \
	engine/text/tokenizer-sentencepiece.c \
	engine/text/tokenizer-vocab-txt.c \
	engine/text/tokenizer.c engine/text/tokenizer.h \
	engine/text/unicode.c engine/text/unicode.h \
	engine/text/vocabulary.c engine/text/vocabulary.h \
	engine/text/wordpiece.c engine/text/wordpiece.h
