#include "tests/lib/blockpool.h"

#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <sanitizer/asan_interface.h>

void *__real_malloc(size_t len);
void *__real_calloc(size_t cnt, size_t len);
void *__real_aligned_alloc(size_t align, size_t len);
void *__real_realloc(void *old, size_t len);
void *__real_reallocarray(void *old, size_t cnt, size_t len);
void __real_free(void *mem);
/* gcc has no header for it. */
size_t __sanitizer_get_allocated_size(const volatile void *mem);

/* Blocks that are known, in use or kept; more go as if there were no pool. */
#define BLOCKS_MAX 256U
/* So many others are freed before a block is given again. */
#define AGE_MIN 8U
/* Of what is so long little is used: its pages go back to the kernel, which is less than to clear
 * them. */
#define SPARSE_LEN_MIN (4U << 20)
#define PAGE 4096U
/* Bytes that are kept. */
#define KEPT_MAX (64U << 20)
/* The sanitizer fills so much of what malloc() gives. */
#define FILL_LEN 4096U
#define FILL_BYTE 0xbe

struct block {
	uint8_t *mem;
	size_t len, cap; /* what was asked for, and what it has; between them it is poisoned */
	uint64_t freed;	 /* when it was, by the count of frees; 0: it is in use */
};

static struct block blocks[BLOCKS_MAX];
static unsigned block_cnt;
static uint64_t free_cnt;
static size_t kept_len; /* of all that are kept */
/* How many blocks have an address that hashes to this: most of what is freed is none. */
static uint8_t hashed[4096];
static atomic_flag lock = ATOMIC_FLAG_INIT;

static void lock_take(void)
{
	while (atomic_flag_test_and_set_explicit(&lock, memory_order_acquire))
		sched_yield();
}

static void lock_give(void)
{
	atomic_flag_clear_explicit(&lock, memory_order_release);
}

static uint8_t *hashed_at(const void *mem)
{
	return &hashed[((uintptr_t)mem >> 12) % sizeof(hashed)];
}

static _Noreturn void die(const char *what, const void *mem)
{
	fprintf(stderr, "blockpool: ERROR: %s of %p, which was freed\n", what, mem);
	abort();
}

/* The block that is known at mem, or NULL. */
static struct block *find(const void *mem)
{
	if (!*hashed_at(mem))
		return NULL;
	for (unsigned i = 0; i < block_cnt; i++)
		if (blocks[i].mem == mem)
			return &blocks[i];
	return NULL;
}

/* Forgets a block; where it is kept, it is given back. */
static void forget(struct block *b)
{
	if (b->freed) {
		ASAN_UNPOISON_MEMORY_REGION(b->mem, b->cap);
		__real_free(b->mem);
		kept_len -= b->cap;
	}
	*hashed_at(b->mem) -= 1;
	*b = blocks[--block_cnt];
	/* A pointer that stays here would keep a leak from being one. */
	blocks[block_cnt] = (struct block){ 0 };
}

/* The block that was freed first, of those that have cap (0: any) and are aligned. */
static struct block *oldest(size_t align, size_t cap)
{
	struct block *found = NULL;

	for (unsigned i = 0; i < block_cnt; i++) {
		struct block *b = &blocks[i];

		if (b->freed && (!cap || b->cap == cap) && (uintptr_t)b->mem % align == 0 &&
		    (!found || b->freed < found->freed))
			found = b;
	}
	return found;
}

/* What is kept must not hide a leak: the sanitizer looks for those after this. */
static void give_all_back(void)
{
	lock_take();
	while (block_cnt)
		forget(&blocks[block_cnt - 1]);
	lock_give();
}

/* A block that was freed, where that was long enough ago; NULL: there is none. */
static uint8_t *take(size_t align, size_t len, size_t cap)
{
	uint8_t *mem = NULL;
	struct block *b;

	lock_take();
	b = oldest(align, cap);
	if (b && b->freed + AGE_MIN <= free_cnt) {
		mem = b->mem;
		b->freed = 0;
		b->len = len;
		kept_len -= cap;
	}
	lock_give();
	return mem;
}

/* Knows a block from now on, that is there for the first time. */
static void know(uint8_t *mem, size_t len, size_t cap)
{
	static bool is_set;

	lock_take();
	if (!is_set)
		is_set = !atexit(give_all_back);
	if (block_cnt == BLOCKS_MAX && kept_len)
		forget(oldest(1, 0));
	if (block_cnt < BLOCKS_MAX) {
		blocks[block_cnt++] = (struct block){ .mem = mem, .len = len, .cap = cap };
		*hashed_at(mem) += 1;
	}
	lock_give();
}

/* Lengths that differ by little share their blocks. */
static size_t cap_of(size_t len)
{
	size_t step = BLOCKPOOL_LEN_MIN / 4;

	while (len > 8 * step)
		step *= 2;
	return (len + step - 1) / step * step;
}

/* A large block; its bytes are what they are, where it is not new. */
static uint8_t *get(size_t align, size_t len, bool *ret_is_new)
{
	size_t cap = cap_of(len);
	uint8_t *mem = take(align, len, cap);

	*ret_is_new = !mem;
	if (!mem) {
		mem = align > 1 ? __real_aligned_alloc(align, cap) : __real_calloc(1, cap);
		if (mem)
			know(mem, len, cap);
	}
	if (mem) {
		ASAN_UNPOISON_MEMORY_REGION(mem, len);
		ASAN_POISON_MEMORY_REGION(mem + len, cap - len);
	}
	return mem;
}

/* The whole pages of a block: none, where it is not sparse. */
static size_t pages(const struct block *b, uint8_t **ret)
{
	size_t before = -(uintptr_t)b->mem % PAGE;

	*ret = b->mem + before;
	return b->cap < SPARSE_LEN_MIN ? 0 : (b->cap - before) / PAGE * PAGE;
}

/* Clears a block that had an owner before. */
static void clear(uint8_t *mem, size_t len)
{
	struct block b = { .mem = mem, .cap = cap_of(len) };
	uint8_t *from;
	size_t empty = pages(&b, &from);

	if (!empty) {
		memset(mem, 0, len);
		return;
	}
	memset(mem, 0, (size_t)(from - mem));
	if (mem + len > from + empty)
		memset(from + empty, 0, (size_t)(mem + len - from - empty));
}

void *__wrap_malloc(size_t len)
{
	uint8_t *mem;
	bool is_new;

	if (len < BLOCKPOOL_LEN_MIN || len > BLOCKPOOL_LEN_MAX)
		return __real_malloc(len);
	mem = get(1, len, &is_new);
	if (mem)
		memset(mem, FILL_BYTE, FILL_LEN);
	return mem;
}

void *__wrap_calloc(size_t cnt, size_t len)
{
	uint8_t *mem;
	bool is_new;
	size_t all;

	if (__builtin_mul_overflow(cnt, len, &all) || all < BLOCKPOOL_LEN_MIN ||
	    all > BLOCKPOOL_LEN_MAX)
		return __real_calloc(cnt, len);
	mem = get(1, all, &is_new);
	if (mem && !is_new)
		clear(mem, all);
	return mem;
}

void *__wrap_aligned_alloc(size_t align, size_t len)
{
	uint8_t *mem;
	bool is_new;

	if (len < BLOCKPOOL_LEN_MIN || len > BLOCKPOOL_LEN_MAX || align > BLOCKPOOL_LEN_MIN / 4)
		return __real_aligned_alloc(align, len);
	mem = get(align, len, &is_new);
	if (mem)
		memset(mem, FILL_BYTE, FILL_LEN);
	return mem;
}

/* The length of a block that is known; 0: it is none. */
static size_t known_len(const void *mem)
{
	const struct block *b;
	size_t len;

	if (!*hashed_at(mem))
		return 0;
	lock_take();
	b = find(mem);
	if (b && b->freed)
		die("realloc()", mem);
	len = b ? b->len : 0;
	lock_give();
	return len;
}

void *__wrap_realloc(void *old, size_t len)
{
	size_t had = known_len(old);
	void *mem;

	if (!had && (len < BLOCKPOOL_LEN_MIN || len > BLOCKPOOL_LEN_MAX))
		return __real_realloc(old, len);
	if (!old)
		return __wrap_malloc(len);
	if (!had)
		had = __sanitizer_get_allocated_size(old);
	mem = __wrap_malloc(len);
	if (!mem)
		return NULL;
	memcpy(mem, old, had < len ? had : len);
	__wrap_free(old);
	return mem;
}

void *__wrap_reallocarray(void *old, size_t cnt, size_t len)
{
	size_t all;

	if (__builtin_mul_overflow(cnt, len, &all))
		return __real_reallocarray(old, cnt, len);
	return __wrap_realloc(old, all);
}

/* Poisons a block and keeps it. */
static void keep(struct block *b)
{
	uint8_t *from;
	size_t len = pages(b, &from);

	if (len && madvise(from, len, MADV_DONTNEED))
		abort();
	ASAN_POISON_MEMORY_REGION(b->mem, b->cap);
	b->freed = ++free_cnt;
	kept_len += b->cap;
	while (kept_len > KEPT_MAX)
		forget(oldest(1, 0));
}

void __wrap_free(void *mem)
{
	struct block *b = NULL;

	if (*hashed_at(mem)) {
		lock_take();
		b = find(mem);
		if (b && b->freed)
			die("free()", mem);
		if (b)
			keep(b);
		lock_give();
	}
	if (!b)
		__real_free(mem);
}
