#include "daemon/groups/request.h"

#include "daemon/base/name.h"
#include "daemon/groups/pattern.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Words in sentences are cut to so many bytes. */
#define WORD_SHOWN_MAX 64U

#define COMMIT_FORM "[member=NAME generation=N] TOPIC PARTITION OFFSET [METADATA]"
#define OFFSET_FORM "OFFSET [METADATA]"
#define SEEK_FORM "TOPIC[ PARTITION] POSITION"
#define REJECT_FORM "TOPIC PARTITION OFFSET [REASON]"

/* A piece of what was written. */
struct slice {
	const char *p;
	size_t len;
};

static int shown(const struct slice *s)
{
	return (int)MIN(s->len, (size_t)WORD_SHOWN_MAX);
}

static int PRINTF_LIKE(3, 4) refuse(char *ret_sentence, unsigned line, const char *fmt, ...)
{
	char text[SENTENCE_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return sentence_refuse(ret_sentence, "line %u: %s", line, text);
}

/* A word that is not there, or not what should stand there. */
static int refuse_word(char *ret_sentence, unsigned line, const struct slice *word,
		       const char *what, const char *form)
{
	if (!word->len)
		return refuse(ret_sentence, line, "%s is missing; it takes %s", what, form);
	return refuse(ret_sentence, line, "\"%.*s\" is no %s; it takes %s", shown(word), word->p,
		      what, form);
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

static void skip_blanks(struct slice *s)
{
	while (s->len && is_blank(*s->p))
		s->p++, s->len--;
}

/* The next word of the line; empty where there is none. */
static struct slice take_word(struct slice *line)
{
	struct slice word;

	skip_blanks(line);
	word = (struct slice){ .p = line->p };
	while (word.len < line->len && !is_blank(word.p[word.len]))
		word.len++;
	line->p += word.len;
	line->len -= word.len;
	return word;
}

/* What stands behind the words: behind one blank, byte for byte; nothing but blanks is nothing. */
static struct slice take_rest(struct slice *line)
{
	struct slice rest = *line;

	skip_blanks(line);
	if (!line->len)
		return (struct slice){ .p = line->p };
	return (struct slice){ .p = rest.p + 1, .len = rest.len - 1 };
}

void request_lines_init(struct request_lines *l, const char *text, size_t len)
{
	*l = (struct request_lines){ .text = text, .len = len };
}

/* The next line that is not blank. 1, 0 at the end, -EINVAL. */
static int take_line(struct request_lines *l, struct slice *ret, char *ret_sentence)
{
	while (l->pos < l->len) {
		struct slice line = { .p = l->text + l->pos }, rest;
		const char *newline = memchr(line.p, '\n', l->len - l->pos);

		line.len = newline ? (size_t)(newline - line.p) : l->len - l->pos;
		l->pos += line.len + (newline != NULL);
		l->line++;
		rest = line;
		skip_blanks(&rest);
		if (!rest.len)
			continue;
		if (memchr(line.p, '\0', line.len))
			return refuse(ret_sentence, l->line, "holds a NUL byte");
		*ret = line;
		return 1;
	}
	return 0;
}

/* A number up to max. -EINVAL: none; -ERANGE: a larger one. */
static int parse_num(const struct slice *s, uint64_t max, uint64_t *ret)
{
	uint64_t v = 0;
	bool is_large = false;

	if (!s->len || (s->len > 1 && *s->p == '0'))
		return -EINVAL;
	for (size_t i = 0; i < s->len; i++) {
		uint64_t digit = (uint64_t)(s->p[i] - '0');

		if (s->p[i] < '0' || s->p[i] > '9')
			return -EINVAL;
		is_large |= digit > max || v > (max - digit) / 10;
		if (!is_large)
			v = v * 10 + digit;
	}
	if (is_large)
		return -ERANGE;
	*ret = v;
	return 0;
}

/* ---- Lines of positions ---- */

static int take_topic(struct slice *line, unsigned number, const char *form,
		      char ret_topic[TOPIC_NAME_MAX + 1], char *ret_sentence)
{
	struct slice word = take_word(line);

	if (topic_name_check_len(word.p, word.len))
		return refuse_word(ret_sentence, number, &word, "TOPIC", form);
	memcpy(ret_topic, word.p, word.len);
	ret_topic[word.len] = '\0';
	return 0;
}

/* A number that no partition can have is -ENOENT, as that of one that is not there. */
static int parse_partition(const struct slice *word, unsigned number, const char *form,
			   uint32_t *ret, char *ret_sentence)
{
	uint64_t v = 0;
	int r = parse_num(word, PARTITION_CNT_MAX - 1, &v);

	if (r == -EINVAL)
		return refuse_word(ret_sentence, number, word, "PARTITION", form);
	if (r) {
		(void)refuse(ret_sentence, number, "no topic has a partition %.*s", shown(word),
			     word->p);
		return -ENOENT;
	}
	*ret = (uint32_t)v;
	return 0;
}

static int take_offset(struct slice *line, unsigned number, const char *form, int64_t *ret,
		       char *ret_sentence)
{
	struct slice word = take_word(line);
	uint64_t v = 0;

	if (parse_num(&word, INT64_MAX, &v))
		return refuse_word(ret_sentence, number, &word, "OFFSET", form);
	*ret = (int64_t)v;
	return 0;
}

/* TOPIC PARTITION OFFSET */
static int take_place(struct slice *line, unsigned number, const char *form,
		      char ret_topic[TOPIC_NAME_MAX + 1], uint32_t *ret_partition,
		      int64_t *ret_offset, char *ret_sentence)
{
	struct slice word;
	int r = take_topic(line, number, form, ret_topic, ret_sentence);

	if (r)
		return r;
	word = take_word(line);
	r = parse_partition(&word, number, form, ret_partition, ret_sentence);
	return r ? r : take_offset(line, number, form, ret_offset, ret_sentence);
}

static int take_metadata(struct slice *line, unsigned number, struct commit_line *ret,
			 char *ret_sentence)
{
	struct slice rest = take_rest(line);

	if (rest.len > OFFSET_METADATA_MAX)
		return refuse(ret_sentence, number, "METADATA has %zu bytes; %u are the most",
			      rest.len, OFFSET_METADATA_MAX);
	ret->metadata = rest.p;
	ret->metadata_len = rest.len;
	return 0;
}

/* The name of a member or an instance: it is shown in JSON and as a file. */
static int parse_name(const struct slice *s, unsigned number, const char *what,
		      char ret_name[GROUP_NAME_MAX + 1], char *ret_sentence)
{
	char name[GROUP_NAME_MAX + 1] = "";

	if (s->len <= GROUP_NAME_MAX)
		memcpy(name, s->p, s->len);
	if (group_name_check(name))
		return refuse(ret_sentence, number,
			      "%s takes 1 to %d bytes of printable text without \"/\", not "
			      "\"%.*s\"",
			      what, GROUP_NAME_MAX, shown(s), s->p);
	memcpy(ret_name, name, s->len);
	ret_name[s->len] = '\0';
	return 0;
}

/* Whether the word is NAME=VALUE for that name; the value, then. */
static bool is_word(const struct slice *word, const char *name, struct slice *ret_value)
{
	size_t len = strlen(name);

	if (word->len <= len || memcmp(word->p, name, len) || word->p[len] != '=')
		return false;
	*ret_value = (struct slice){ .p = word->p + len + 1, .len = word->len - len - 1 };
	return true;
}

/* member=NAME and generation=N, in any order, both or none. */
static int take_fence(struct slice *line, unsigned number, struct commit_line *ret,
		      char *ret_sentence)
{
	bool has_member = false, has_generation = false;

	for (;;) {
		struct slice before = *line, word = take_word(line), value;
		int r = 0;

		if (!memchr(word.p, '=', word.len)) {
			*line = before;
			break;
		}
		if (!has_member && is_word(&word, "member", &value)) {
			r = parse_name(&value, number, "member", ret->member, ret_sentence);
			has_member = true;
		} else if (!has_generation && is_word(&word, "generation", &value)) {
			if (parse_num(&value, UINT64_MAX, &ret->generation))
				r = refuse(ret_sentence, number,
					   "generation takes a number, not \"%.*s\"", shown(&value),
					   value.p);
			has_generation = true;
		} else {
			r = refuse(ret_sentence, number,
				   "\"%.*s\" is not what it takes: " COMMIT_FORM, shown(&word),
				   word.p);
		}
		if (r)
			return r;
	}
	if (has_member != has_generation)
		return refuse(ret_sentence, number, "%s= is missing; it takes " COMMIT_FORM,
			      has_member ? "generation" : "member");
	ret->has_words = has_member;
	return 0;
}

int commit_line_next(struct request_lines *l, struct commit_line *ret, char *ret_sentence)
{
	struct commit_line c = { 0 };
	struct slice line;
	int r = take_line(l, &line, ret_sentence);

	if (r <= 0)
		return r;
	r = take_fence(&line, l->line, &c, ret_sentence);
	if (!r)
		r = take_place(&line, l->line, COMMIT_FORM, c.topic, &c.partition, &c.offset,
			       ret_sentence);
	if (!r)
		r = take_metadata(&line, l->line, &c, ret_sentence);
	if (r)
		return r;
	*ret = c;
	return 1;
}

int offset_line_parse(const char *text, size_t len, struct commit_line *ret, char *ret_sentence)
{
	struct commit_line c = { 0 };
	struct request_lines lines;
	struct slice line, more;
	int r;

	request_lines_init(&lines, text, len);
	r = take_line(&lines, &line, ret_sentence);
	if (!r)
		r = refuse(ret_sentence, 1, "it takes " OFFSET_FORM ", and is empty");
	if (r < 0)
		return r;
	r = take_offset(&line, lines.line, OFFSET_FORM, &c.offset, ret_sentence);
	if (!r)
		r = take_metadata(&line, lines.line, &c, ret_sentence);
	if (!r)
		r = take_line(&lines, &more, ret_sentence);
	if (r > 0)
		r = refuse(ret_sentence, lines.line, "it takes one line, " OFFSET_FORM);
	if (!r)
		*ret = c;
	return r;
}

int seek_line_next(struct request_lines *l, struct seek_line *ret, char *ret_sentence)
{
	struct seek_line s = { 0 };
	struct slice line, first, second, third;
	int r = take_line(l, &line, ret_sentence);

	if (r <= 0)
		return r;
	r = take_topic(&line, l->line, SEEK_FORM, s.topic, ret_sentence);
	if (r)
		return r;
	first = take_word(&line);
	second = take_word(&line);
	third = take_word(&line);
	if (!first.len)
		return refuse_word(ret_sentence, l->line, &first, "POSITION", SEEK_FORM);
	if (third.len)
		return refuse(ret_sentence, l->line, "\"%.*s\" is too much; it takes " SEEK_FORM,
			      shown(&third), third.p);
	s.has_partition = second.len > 0;
	if (s.has_partition)
		r = parse_partition(&first, l->line, SEEK_FORM, &s.partition, ret_sentence);
	if (r)
		return r;
	s.position = s.has_partition ? second.p : first.p;
	s.position_len = s.has_partition ? second.len : first.len;
	*ret = s;
	return 1;
}

int reject_line_next(struct request_lines *l, struct reject_line *ret, char *ret_sentence)
{
	struct reject_line c = { 0 };
	struct slice line, rest;
	int r = take_line(l, &line, ret_sentence);

	if (r <= 0)
		return r;
	r = take_place(&line, l->line, REJECT_FORM, c.topic, &c.partition, &c.offset, ret_sentence);
	if (r)
		return r;
	rest = take_rest(&line);
	c.reason = rest.p;
	c.reason_len = rest.len;
	*ret = c;
	return 1;
}

/* ---- join ---- */

enum join_word {
	JOIN_TOPICS,
	JOIN_PATTERN,
	JOIN_MEMBER,
	JOIN_INSTANCE,
	JOIN_STRATEGY,
	JOIN_SESSION,
	JOIN_REBALANCE,
	JOIN_POLL,
	JOIN_WORD_CNT
};

static const char *const join_names[JOIN_WORD_CNT] = {
	[JOIN_TOPICS] = "topics",
	[JOIN_PATTERN] = "pattern",
	[JOIN_MEMBER] = "member",
	[JOIN_INSTANCE] = "instance",
	[JOIN_STRATEGY] = "strategy",
	[JOIN_SESSION] = "session.timeout.ms",
	[JOIN_REBALANCE] = "rebalance.timeout.ms",
	[JOIN_POLL] = "max.poll.interval.ms",
};

/* In the order of struct join_request.strategy. */
static const char *const strategies[] = { "range", "roundrobin", "sticky", "cooperative-sticky" };

/* The values of a request's words; p is NULL where one is not given. */
struct join_words {
	unsigned line;
	struct slice values[JOIN_WORD_CNT];
};

static int refuse_join_word(const struct slice *word, unsigned line, char *ret_sentence)
{
	char name[NAME_NEAREST_MAX + 1];
	const char *equals = memchr(word->p, '=', word->len), *nearest;

	if (!equals)
		return refuse(ret_sentence, line, "\"%.*s\" is not NAME=VALUE", shown(word),
			      word->p);
	snprintf(name, sizeof(name), "%.*s", (int)MIN(equals - word->p, NAME_NEAREST_MAX), word->p);
	nearest = name_nearest(name, join_names, JOIN_WORD_CNT);
	if (nearest)
		return refuse(ret_sentence, line, "\"%.64s\" is unknown (did you mean \"%s\"?)",
			      name, nearest);
	return refuse(ret_sentence, line, "\"%.64s\" is unknown", name);
}

static int take_join_words(struct slice *line, struct join_words *w, char *ret_sentence)
{
	for (;;) {
		struct slice word = take_word(line), value;
		unsigned i = 0;

		if (!word.len)
			return 0;
		while (i < JOIN_WORD_CNT && !is_word(&word, join_names[i], &value))
			i++;
		if (i == JOIN_WORD_CNT)
			return refuse_join_word(&word, w->line, ret_sentence);
		if (w->values[i].p)
			return refuse(ret_sentence, w->line, "%s= stands there twice",
				      join_names[i]);
		w->values[i] = value;
	}
}

/* The items of topics=: legal names, at most GROUP_TOPIC_MAX of them. */
static int check_topics(const struct join_words *w, char *ret_sentence)
{
	struct slice list = w->values[JOIN_TOPICS];
	unsigned cnt = 0;

	for (;;) {
		const char *comma = memchr(list.p, ',', list.len);
		struct slice item = { .p = list.p,
				      .len = comma ? (size_t)(comma - list.p) : list.len };

		if (topic_name_check_len(item.p, item.len))
			return refuse(ret_sentence, w->line,
				      "topics takes names of topics with commas between, not "
				      "\"%.*s\"",
				      shown(&item), item.p);
		if (++cnt > GROUP_TOPIC_MAX)
			return refuse(ret_sentence, w->line, "topics takes %u names at most",
				      GROUP_TOPIC_MAX);
		if (!comma)
			return 0;
		list.p += item.len + 1;
		list.len -= item.len + 1;
	}
}

static int check_names(const struct join_words *w, char *ret_sentence)
{
	static const enum join_word names[] = { JOIN_MEMBER, JOIN_INSTANCE };
	char name[GROUP_NAME_MAX + 1];

	for (unsigned i = 0; i < ARRAY_CNT(names); i++) {
		const struct slice *value = &w->values[names[i]];
		int r = value->p ? parse_name(value, w->line, join_names[names[i]], name,
					      ret_sentence)
				 : 0;

		if (r)
			return r;
		if (value->p && names[i] == JOIN_MEMBER && !strcmp(name, "self"))
			return refuse(ret_sentence, w->line,
				      "no member is called \"self\": members/self is the reader's "
				      "own");
	}
	return 0;
}

static int parse_strategy(const struct join_words *w, int *ret, char *ret_sentence)
{
	const struct slice *value = &w->values[JOIN_STRATEGY];

	if (!value->p)
		return 0;
	for (unsigned i = 0; i < ARRAY_CNT(strategies); i++) {
		if (strlen(strategies[i]) != value->len ||
		    memcmp(strategies[i], value->p, value->len))
			continue;
		*ret = (int)i;
		return 0;
	}
	return refuse(ret_sentence, w->line,
		      "strategy takes range | roundrobin | sticky | cooperative-sticky, not "
		      "\"%.*s\"",
		      shown(value), value->p);
}

static int parse_timeout(const struct join_words *w, enum join_word word, int64_t *ret,
			 char *ret_sentence)
{
	const struct slice *value = &w->values[word];
	uint64_t v = 0;

	if (!value->p)
		return 0;
	if (parse_num(value, INT32_MAX, &v) || v < GROUP_TIMEOUT_MIN_MS)
		return refuse(ret_sentence, w->line, "%s takes %d to %d, not \"%.*s\"",
			      join_names[word], GROUP_TIMEOUT_MIN_MS, INT32_MAX, shown(value),
			      value->p);
	*ret = (int64_t)v;
	return 0;
}

static int check_pattern(const char *pattern, unsigned line, char *ret_sentence)
{
	char why[SENTENCE_MAX];
	struct pattern *compiled = NULL;
	int r = pattern_compile(pattern, &compiled, why);

	pattern_free(compiled);
	return r == -EINVAL ? refuse(ret_sentence, line, "%s", why) : r;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Sorts the names and drops those that stand there again. */
static uint32_t sort_topics(const char **topics, uint32_t cnt)
{
	uint32_t kept = 0;

	qsort(topics, cnt, sizeof(*topics), by_text);
	for (uint32_t i = 0; i < cnt; i++)
		if (!kept || strcmp(topics[kept - 1], topics[i]) != 0)
			topics[kept++] = topics[i];
	return kept;
}

static const char *put_text(char **end, const struct slice *s)
{
	char *text = *end;

	if (!s->p)
		return NULL;
	memcpy(text, s->p, s->len);
	text[s->len] = '\0';
	*end += s->len + 1;
	return text;
}

/* Copies what the request keeps into one block: pointers to the topics' names, then texts. */
static int own_texts(const struct join_words *w, struct join_request *r)
{
	const struct slice *list = &w->values[JOIN_TOPICS];
	size_t text_len = 0;
	uint32_t cnt = list->p ? 1 : 0;
	const char **topics;
	char *end, *name;

	for (unsigned i = 0; i < JOIN_WORD_CNT; i++)
		text_len += w->values[i].len + 1;
	for (size_t i = 0; i < list->len; i++)
		cnt += list->p[i] == ',';
	r->owned = malloc(cnt * sizeof(*topics) + text_len);
	if (!r->owned)
		return -ENOMEM;
	topics = r->owned;
	end = (char *)(topics + cnt);
	r->member = put_text(&end, &w->values[JOIN_MEMBER]);
	r->instance = put_text(&end, &w->values[JOIN_INSTANCE]);
	r->pattern = put_text(&end, &w->values[JOIN_PATTERN]);
	if (!list->p)
		return 0;
	name = (char *)put_text(&end, list);
	for (uint32_t i = 0; i < cnt; i++) {
		topics[i] = name;
		name += strcspn(name, ",");
		*name++ = '\0';
	}
	r->topics = topics;
	r->topic_cnt = sort_topics(topics, cnt);
	return 0;
}

static int parse_join(const struct join_words *w, struct join_request *r, char *ret_sentence)
{
	bool has_topics = w->values[JOIN_TOPICS].p, has_pattern = w->values[JOIN_PATTERN].p;
	int err;

	if (has_topics == has_pattern)
		return refuse(ret_sentence, w->line, "it takes %s of topics=A,B and pattern=REGEX",
			      has_topics ? "only one" : "one");
	err = has_topics ? check_topics(w, ret_sentence) : 0;
	if (!err)
		err = check_names(w, ret_sentence);
	if (!err)
		err = parse_strategy(w, &r->strategy, ret_sentence);
	if (!err)
		err = parse_timeout(w, JOIN_SESSION, &r->session_timeout_ms, ret_sentence);
	if (!err)
		err = parse_timeout(w, JOIN_REBALANCE, &r->rebalance_timeout_ms, ret_sentence);
	if (!err)
		err = parse_timeout(w, JOIN_POLL, &r->max_poll_interval_ms, ret_sentence);
	if (!err)
		err = own_texts(w, r);
	if (!err && has_pattern)
		err = check_pattern(r->pattern, w->line, ret_sentence);
	return err;
}

int join_request_parse(const char *text, size_t len, struct join_request *ret, char *ret_sentence)
{
	struct join_request request = { .strategy = -1,
					.session_timeout_ms = -1,
					.rebalance_timeout_ms = -1,
					.max_poll_interval_ms = -1 };
	struct join_words words = { 0 };
	struct request_lines lines;
	struct slice line, more;
	int r;

	request_lines_init(&lines, text, len);
	r = take_line(&lines, &line, ret_sentence);
	if (r < 0)
		return r;
	if (!r) {
		request.is_sign = true;
		*ret = request;
		return 0;
	}
	words.line = lines.line;
	r = take_join_words(&line, &words, ret_sentence);
	if (!r)
		r = take_line(&lines, &more, ret_sentence);
	if (r > 0)
		r = refuse(ret_sentence, lines.line, "a request is one line");
	if (!r)
		r = parse_join(&words, &request, ret_sentence);
	if (r)
		join_request_fini(&request);
	else
		*ret = request;
	return r;
}

void join_request_fini(struct join_request *r)
{
	free(r->owned);
	*r = (struct join_request){ 0 };
}
