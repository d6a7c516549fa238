#include "daemon/groups/pattern.h"

#include "daemon/base/assert.h"

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

struct pattern {
	pcre2_code *code;
};

/*
 * What a match needs, one at a time: nobody can be told that there was no memory for it. The engine
 * doubles its stack of places to go back to when it is full, and copies it. Pages that no match has
 * reached take no memory.
 */
#define ARENA_LEN (1024U * 1024U)
/* In KiB: the stack and its copy fit. */
#define STACK_MAX_KIB 256U

static struct {
	_Alignas(max_align_t) uint8_t mem[ARENA_LEN];
	size_t len;
	unsigned cnt; /* pieces in use; their bytes come back with the last of them */
} arena;

static void *arena_get(size_t len, void *ctx)
{
	size_t at = arena.len;

	(void)ctx;
	if (len > ARENA_LEN - at)
		return NULL;
	arena.len = MIN((at + len + sizeof(max_align_t) - 1) / sizeof(max_align_t) *
				sizeof(max_align_t),
			ARENA_LEN);
	arena.cnt++;
	return arena.mem + at;
}

static void arena_put(void *p, void *ctx)
{
	(void)ctx;
	if (p && !--arena.cnt)
		arena.len = 0;
}

static int compile(const char *text, pcre2_code **ret, char *ret_sentence)
{
	pcre2_compile_context *context = pcre2_compile_context_create(NULL);
	PCRE2_UCHAR why[128];
	PCRE2_SIZE at;
	int err;

	if (!context)
		return -ENOMEM;
	pcre2_set_parens_nest_limit(context, PATTERN_DEPTH_MAX);
	*ret = pcre2_compile((PCRE2_SPTR)text, PCRE2_ZERO_TERMINATED,
			     PCRE2_ANCHORED | PCRE2_ENDANCHORED | PCRE2_NO_AUTO_CAPTURE |
				     PCRE2_NEVER_UTF | PCRE2_NEVER_UCP | PCRE2_NEVER_BACKSLASH_C,
			     &err, &at, context);
	pcre2_compile_context_free(context);
	if (*ret)
		return 0;
	if (err == PCRE2_ERROR_HEAP_FAILED)
		return -ENOMEM;
	pcre2_get_error_message(err, why, sizeof(why));
	return sentence_refuse(ret_sentence, "pattern=%.64s: %s (at byte %zu)", text,
			       (const char *)why, at);
}

int pattern_compile(const char *text, struct pattern **ret, char ret_sentence[SENTENCE_MAX])
{
	struct pattern *p;
	int r;

	if (!*text || strlen(text) > GROUP_PATTERN_MAX)
		return sentence_refuse(ret_sentence, "a pattern has 1 to %u bytes",
				       GROUP_PATTERN_MAX);
	p = calloc(1, sizeof(*p));
	if (!p)
		return -ENOMEM;
	r = compile(text, &p->code, ret_sentence);
	if (r) {
		free(p);
		return r;
	}
	*ret = p;
	return 0;
}

void pattern_free(struct pattern *p)
{
	if (!p)
		return;
	pcre2_code_free(p->code);
	free(p);
}

bool pattern_is_match(const struct pattern *p, const char *name)
{
	pcre2_general_context *general = pcre2_general_context_create(arena_get, arena_put, NULL);
	pcre2_match_context *context = pcre2_match_context_create(general);
	pcre2_match_data *data = pcre2_match_data_create(1, general);
	int r;

	PRE(general && context && data);
	pcre2_set_match_limit(context, PATTERN_STEPS_MAX);
	pcre2_set_heap_limit(context, STACK_MAX_KIB);
	r = pcre2_match(p->code, (PCRE2_SPTR)name, strlen(name), 0, 0, data, context);
	pcre2_match_data_free(data);
	pcre2_match_context_free(context);
	pcre2_general_context_free(general);
	POST(!arena.cnt);
	/* 0: it has captured more than there was room for. */
	return r >= 0;
}
