/*
 * What the two files of the benchmark's client share: options, histograms, and how it reports.
 *
 * The client prints one JSON object on stdout: figures, or {"error":"ENOENT","what":"open …"} with
 * exit code 2. Times are nanoseconds of CLOCK_MONOTONIC.
 */
#ifndef TOPICFS_TESTS_BENCH_CLIENT_H
#define TOPICFS_TESTS_BENCH_CLIENT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>

enum {
	/* Buckets are powers of two cut into 128: an error below 0.8 %. */
	HIST_SUB_BITS = 7,
	HIST_OCTAVES = 36,
	HIST_CNT = HIST_OCTAVES << HIST_SUB_BITS,
	WORKERS_MAX = 256,
};

struct opts {
	const char *path;	/* "{}" in it is replaced by the number of the file */
	const char *read_path;	/* wake, wakemany, handover: what the readers open; rebalance: the
				 * topic */
	const char *poll_path;	/* append: a file that is read beside it, or NULL */
	const char *mkdir_path; /* start: a directory to make first, or NULL */
	const char *text;	/* append: each line is this, or NULL */
	const char *log_path;	/* start: where the program's stderr goes */
	double seconds;		/* stop after this time ... */
	uint64_t total_len;	/* ... or after this many bytes of all writers together, if not 0 */
	uint64_t cnt;		/* wakemany: rounds; first: opens; else: records, if not 0 */
	uint64_t from_off, to_off; /* first: the range that offsets are taken from */
	uint32_t writers;
	uint32_t files;
	uint32_t readers;
	size_t size; /* bytes of one write or read */
	size_t line_len;
	uint32_t poll_ms;
	uint32_t gap_us; /* wake: from one record to the next */
	bool json;	 /* lines are JSON objects with the line as their value */
	bool do_fsync;
	bool warm;   /* append: each writer has written once before the time begins */
	bool same;   /* wake: the writer reads its own record */
	bool suffix; /* first: open PATH@OFFSET instead of reading at a position of PATH */
	char **argv; /* start: the program to run */
};

/* Shared by all processes of one run; the parent owns it. */
struct hist {
	uint64_t cnt;
	uint64_t max_ns;
	uint32_t bucket[HIST_CNT];
};

static inline uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static inline void sleep_us(uint32_t us)
{
	struct timespec ts = { .tv_sec = us / 1000000, .tv_nsec = (long)(us % 1000000) * 1000 };

	nanosleep(&ts, NULL);
}

static inline void hist_put(struct hist *hist, uint64_t ns)
{
	uint32_t octave = 0;

	if (ns >= 2u << HIST_SUB_BITS)
		octave = 63u - (uint32_t)__builtin_clzll(ns) - HIST_SUB_BITS;
	hist->cnt++;
	if (ns > hist->max_ns)
		hist->max_ns = ns;
	/* An octave o > 0 holds ns >> o between 128 and 255, so its buckets begin at (o + 1) * 128.
	 */
	uint64_t idx = octave == 0 ? ns : ((uint64_t)octave << HIST_SUB_BITS) + (ns >> octave);

	hist->bucket[idx < HIST_CNT ? idx : HIST_CNT - 1]++;
}

/* Prints `,"max_ns":…,"hist":[[ns,count],…]`, each bucket by its middle. */
void hist_print(const struct hist *hist);

/* Memory that forked processes share, zeroed; never NULL. */
void *shared_new(size_t len);

/* Prints the error object and exits with 2. err is a positive errno. */
_Noreturn void die(int err, const char *what, const char *path);

/* Asks the kernel to end this process with its parent. */
void die_with_parent(void);

void run_wake(const struct opts *opts);
void run_wakemany(const struct opts *opts);
void run_start(const struct opts *opts);
void run_handover(const struct opts *opts);
void run_rebalance(const struct opts *opts);

#endif
