#include "tests/lib/seeds.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct seeds {
	uint64_t first, end;
	bool is_timed;
	time_t until; /* of a timed run */
	seeds_fn *fn;
	atomic_ullong *done; /* shared by the processes */
};

static uint64_t env_number(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text && *text ? strtoull(text, NULL, 10) : otherwise;
}

/* One process for each of jobs, each takes every jobs-th seed; whether all came to their end. */
static bool run_jobs(const struct seeds *s, uint64_t jobs)
{
	bool good = true;

	fflush(stdout);
	for (uint64_t i = 0; i < jobs; i++) {
		pid_t pid = fork();

		if (!pid) {
			for (uint64_t n = s->first + i;
			     n < s->end && (!s->is_timed || time(NULL) < s->until); n += jobs) {
				s->fn(n);
				atomic_fetch_add(s->done, 1);
			}
			_exit(0);
		}
		good &= pid > 0;
	}
	for (int status; wait(&status) > 0;)
		good &= !status;
	return good;
}

int seeds_main(int argc, char **argv, uint64_t short_cnt, seeds_fn *fn)
{
	bool is_long = getenv("TOPICFS_LONG") != NULL;
	time_t begin = time(NULL);
	uint64_t cnt = argc > 1 ? strtoull(argv[1], NULL, 10) : short_cnt;
	uint64_t seconds = env_number("TOPICFS_LONG_SECONDS", 1800);
	struct seeds s = { .fn = fn };
	long jobs = cnt > 1 ? sysconf(_SC_NPROCESSORS_ONLN) : 1;
	bool good;

	s.first = argc > 2 ? strtoull(argv[2], NULL, 10)
			   : env_number("TOPICFS_SEED", is_long ? (uint64_t)begin << 20 : 1);
	/* A run of so many seeds does them all, however long it takes. */
	s.is_timed = is_long && argc < 2;
	s.end = s.is_timed ? UINT64_MAX : s.first + cnt;
	s.until = begin + (time_t)seconds;
	s.done = mmap(NULL, sizeof(*s.done), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	if (s.done == MAP_FAILED)
		return 1;
	printf("1..1\n# seeds from %llu on\n", (unsigned long long)s.first);
	good = run_jobs(&s, jobs > 0 ? (uint64_t)jobs : 1);
	good &= s.is_timed ? *s.done > 0 : *s.done == cnt && cnt;
	printf("%s 1 - %llu seeds from %llu on\n", good ? "ok" : "not ok",
	       (unsigned long long)*s.done, (unsigned long long)s.first);
	return !good;
}
