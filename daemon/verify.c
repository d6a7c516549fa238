/*
 * topicfs verify: every fault of a data directory, one a line on stdout.
 *
 * The directory is recovered in memory first (offline.h), and what is checked is what recovery
 * leaves: so a tail that a kill tore off is a note. What recovery reads and then begins anew
 * (journal, checkpoint, debts, marker) is checked as it stands.
 */
#include "daemon/verify.h"

#include "daemon/commands.h"
#include "daemon/store/texts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define PROGRESS_MS 1000

void verify_fault(struct verify *v, const char *file, uint64_t pos, const char *fmt, ...)
{
	va_list args;

	printf("fault: %s: position %llu: ", file, (unsigned long long)pos);
	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	putchar('\n');
	v->faults++;
}

void verify_note(struct verify *v, const char *file, const char *fmt, ...)
{
	va_list args;

	printf("note: %s: ", file);
	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	putchar('\n');
	v->notes++;
}

int verify_read(struct verify *v, struct disk *d, const char *path, size_t max, struct buf *b)
{
	int r = offline_read(d, path, max, b);

	if (disk_is_no_file(r))
		verify_fault(v, path, 0, "is no regular file");
	else if (r == -EFBIG)
		verify_fault(v, path, max, "is longer than any file of its kind");
	else if (r == -EIO)
		verify_fault(v, path, 0, "cannot be read");
	else
		return r;
	return -EBADF;
}

void verify_progress(struct verify *v, const char *what)
{
	struct timespec ts;
	int64_t now;

	if (v->shown_ms < 0)
		return;
	clock_gettime(CLOCK_MONOTONIC_COARSE, &ts);
	now = (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
	if (now - v->shown_ms < PROGRESS_MS)
		return;
	v->shown_ms = now;
	fprintf(stderr, "\r\033[K%s: %llu MiB checked", what, (unsigned long long)(v->bytes / MIB));
}

/* What the directory of a partition may hold beside what is checked elsewhere. */
struct names {
	struct verify *v;
	const struct offline_dir *dir; /* NULL: the data directory itself */
};

static bool is_one_of(const char *name, const char *const *known, size_t cnt)
{
	for (size_t i = 0; i < cnt; i++)
		if (!strcmp(name, known[i]))
			return true;
	return false;
}

static int on_top_name(void *ctx, const char *name)
{
	static const char *const KNOWN[] = {
		"journal",
		"journal.new",
		"checkpoint",
		"checkpoint.new",
		"debts",
		"meta.properties",
		"clean-shutdown",
		"meta.properties.new",
		"clean-shutdown.new",
		"lost+found",
	};
	struct names *n = ctx;
	char topic[TOPIC_NAME_MAX + 1];
	size_t len = strlen(name);
	uint32_t partition;

	if (len > 5 && !strcmp(name + len - 5, ".gone"))
		verify_note(n->v, name, "is being deleted; the next start goes on with it");
	else if (!is_one_of(name, KNOWN, ARRAY_CNT(KNOWN)) &&
		 !texts_get_dir(name, topic, &partition))
		verify_note(n->v, name, "is foreign and left alone");
	return 0;
}

static int on_dir_name(void *ctx, const char *name)
{
	static const char *const KNOWN[] = { "partition.metadata" };
	static const char *const SUFFIXES[] = { ".meta", ".data", ".index", ".timeindex",
						".txnindex" };
	struct names *n = ctx;
	const char *dot = strrchr(name, '.');
	int64_t base;

	if (is_one_of(name, KNOWN, ARRAY_CNT(KNOWN)))
		return 0;
	if (offline_get_base(name, &base) && (is_one_of(name + 20, SUFFIXES, ARRAY_CNT(SUFFIXES)) ||
					      (dot && !strcmp(dot, ".checkpoint"))))
		return 0;
	verify_note(n->v, n->dir->name, "%s in it is foreign and left alone", name);
	return 0;
}

/* What recovery would do with it: as it stands on the disk, not as recovery leaves it. */
static int on_left_name(void *ctx, const char *name)
{
	struct names *n = ctx;
	uint32_t generation;
	int64_t base;

	if (plog_is_cleaning_name(name, &base, &generation))
		verify_note(n->v, n->dir->name,
			    "%s is left of a cleaning; recovery finishes or forgets it", name);
	return 0;
}

/* As it stands on the disk: recovery, which has been played, sets it aside or builds it again. */
static int on_odd_name(void *ctx, const char *name)
{
	static const char *const SUFFIXES[] = { ".meta", ".data", ".index", ".timeindex" };
	struct names *n = ctx;
	char path[TOPIC_DIR_MAX + 32];
	int64_t base;
	int fd, r;

	if (!offline_get_base(name, &base) || !is_one_of(name + 20, SUFFIXES, ARRAY_CNT(SUFFIXES)))
		return 0;
	snprintf(path, sizeof(path), "%s/%s", n->dir->name, name);
	r = disk_open(n->v->o.lower, path, DISK_RDONLY, &fd);
	if (!r)
		return disk_close(n->v->o.lower, fd);
	if (disk_is_no_file(r))
		verify_fault(n->v, path, 0, "is no regular file");
	return 0;
}

static bool is_partition_metadata(const struct buf *b, uint8_t ret_id[16])
{
	return !texts_get_partition((const char *)b->data, b->len, ret_id);
}

/* Kafka's file of the topic id, which nobody needs while there are segments. */
static int check_partition_metadata(struct verify *v, const struct offline_dir *d)
{
	char path[TOPIC_DIR_MAX + 32];
	uint8_t id[16];
	struct buf b;
	int r;

	snprintf(path, sizeof(path), "%s/partition.metadata", d->name);
	buf_init(&b);
	r = verify_read(v, v->o.lower, path, 4096, &b);
	if (r == -ENOENT || (!r && !b.len)) {
		/* It is not synced by itself. */
		verify_note(v, path, "is missing");
		r = 0;
	} else if (!r && (!d->was_closed || !d->plog || !d->plog->seg_cnt) &&
		   !is_partition_metadata(&b, id)) {
		verify_note(v, path, "is torn: recovery makes it again");
	} else if (!r && !is_partition_metadata(&b, id)) {
		verify_fault(v, path, 0, "is malformed");
	} else if (!r && d->has_id && memcmp(id, d->topic_id, 16) != 0) {
		verify_fault(v, path, strlen("version: 0\ntopic_id: "),
			     "tells another topic id than the segments do");
	}
	buf_fini(&b);
	return r == -EBADF ? 0 : r;
}

/* What recovery would do here. */
static void tell_recovery(struct verify *v, const struct offline_dir *d)
{
	if (d->cut_bytes && d->was_closed)
		verify_fault(v, d->name, 0,
			     "the files do not end where the checkpoint of the clean shutdown "
			     "says: recovery cuts %llu bytes",
			     (unsigned long long)d->cut_bytes);
	else if (d->cut_bytes)
		verify_note(v, d->name, "a torn tail: recovery cuts %llu bytes",
			    (unsigned long long)d->cut_bytes);
	if (d->described_records)
		verify_note(v, d->name, "recovery describes %llu records that debts vouches for",
			    (unsigned long long)d->described_records);
}

static int check_dir(struct verify *v, struct offline_dir *d)
{
	struct names names = { v, d };
	uint64_t before = v->faults;
	/* A link to a directory is as good as the directory. */
	int r = disk_list(v->o.lower, d->name, on_left_name, &names);

	if (r == -ENOTDIR || r == -ELOOP || r == -ENOENT) {
		/* Whatever its name says, it is not the partition's. */
		d->has_id = false;
		verify_note(v, d->name, "is foreign and left alone");
		return 0;
	}
	if (r)
		return r;
	v->partitions++;
	if (!d->has_id) {
		/* A power loss leaves it of a partition of which nothing was synced. */
		verify_note(v, d->name,
			    "nothing in it tells its topic, and no topic has its name: left alone");
		return 0;
	}
	offline_open_dir(&v->o, d);
	tell_recovery(v, d);
	r = disk_list(v->o.lower, d->name, on_odd_name, &names);
	if (!r)
		r = disk_list(v->o.disk, d->name, on_dir_name, &names);
	if (!r)
		r = check_partition_metadata(v, d);
	if (!r)
		r = verify_partition(v, d);
	/* What the walk has named need not be named twice. */
	if (!r && d->err && v->faults == before)
		verify_fault(v, d->name, 0, "%s",
			     d->plog && *d->plog->fault ? d->plog->fault : strerror(-d->err));
	if (!r && d->plog && d->plog->seg_cnt) {
		plog_close_idle(d->plog);
		plog_close_idle(d->plog);
	}
	return r;
}

static void tell_open(struct verify *v)
{
	const struct store_open_report *rep = &v->o.report;

	if (v->o.bad_properties)
		verify_fault(v, "meta.properties", 0, "%s", v->o.bad_sentence);
	if (rep->clean)
		return;
	verify_note(v, "clean-shutdown",
		    "is missing: the last stop was a kill or a crash, and what recovery would "
		    "leave is checked");
	if (rep->put_back_entries)
		verify_note(v, "journal", "recovery puts back %llu entries, %llu bytes",
			    (unsigned long long)rep->put_back_entries,
			    (unsigned long long)rep->put_back_bytes);
}

static int verify_all(struct verify *v)
{
	struct names names = { v, NULL };
	struct offline_dir *dirs = NULL;
	size_t cnt = 0;
	int r;

	v->clean = v->o.report.clean;
	tell_open(v);
	r = disk_list(v->o.lower, ".", on_top_name, &names);
	if (!r)
		r = verify_files(v);
	if (!r)
		r = offline_dirs(&v->o, &dirs, &cnt);
	for (size_t i = 0; i < cnt && !r; i++)
		if (dirs[i].has_id)
			r = check_dir(v, &dirs[i]);
	/* Their own logs were checked before: what the metadata tell is used now. */
	for (size_t i = 0; i < cnt && !r; i++) {
		if (dirs[i].has_id)
			continue;
		r = verify_name_dir(v, &dirs[i]);
		if (!r)
			r = check_dir(v, &dirs[i]);
	}
	if (!r)
		r = verify_metadata(v, dirs, cnt);
	free(dirs);
	return r;
}

static void tell_summary(const struct verify *v, const char *dir)
{
	if (v->shown_ms > 0)
		fputs("\r\033[K", stderr);
	printf("%s: %llu partitions, %llu segments, %llu batches, %llu records, %llu bytes: ", dir,
	       (unsigned long long)v->partitions, (unsigned long long)v->segments,
	       (unsigned long long)v->batches, (unsigned long long)v->records,
	       (unsigned long long)v->bytes);
	if (v->faults)
		printf("%llu fault%s", (unsigned long long)v->faults, v->faults == 1 ? "" : "s");
	else
		fputs("no fault", stdout);
	if (v->notes)
		printf(", %llu note%s", (unsigned long long)v->notes, v->notes == 1 ? "" : "s");
	putchar('\n');
}

int cmd_verify(const char *dir)
{
	struct verify v = { .shown_ms = isatty(STDERR_FILENO) ? 0 : -1 };
	char sentence[1024];
	int status, r = offline_open(&v.o, dir, sentence, sizeof(sentence));

	if (r) {
		fprintf(stderr, "topicfs: %s\n", sentence);
		if (v.o.odd)
			verify_fault(&v, v.o.odd, 0, "is no regular file");
		status = v.faults ? 1 : 2;
	} else {
		r = verify_all(&v);
		if (r)
			fprintf(stderr, "topicfs: verify cannot go on: %s\n", strerror(-r));
		else
			tell_summary(&v, dir);
		status = r || v.faults ? 1 : 0;
	}
	r = offline_close(&v.o);
	if (fflush(stdout) || ferror(stdout)) {
		fprintf(stderr, "topicfs: what verify found cannot be written\n");
		return 1;
	}
	return r ? 1 : status;
}
