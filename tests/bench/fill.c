/*
 * fill DATA TOPIC PARTITION BYTES: appends lines of a million bytes to a partition of a stopped
 * broker's data directory until it holds BYTES, by the store's own code. The lines are NULs and the
 * disk below the store writes only the end of each, so that the files are sparse: a hundred
 * gigabytes take seconds and no room, and every hash is a true one.
 */
#include "daemon/base/log.h"
#include "daemon/io/disk.h"
#include "daemon/store/plog.h"
#include "daemon/store/store.h"
#include "daemon/store/texts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define LINE_LEN 1000000

static const struct disk_ops *real;
static uint8_t line[LINE_LEN];

static ssize_t sparse_writev(struct disk *d, int fd, const struct iovec *iov, int cnt, uint64_t pos)
{
	struct iovec end = { .iov_base = line + LINE_LEN - 1, .iov_len = 1 };
	ssize_t n;

	if (cnt != 1 || iov->iov_base != line || iov->iov_len != LINE_LEN)
		return real->writev(d, fd, iov, cnt, pos);
	n = real->writev(d, fd, &end, 1, pos + LINE_LEN - 1);
	return n == 1 ? LINE_LEN : n;
}

/* Room made ahead would be no hole. */
static int sparse_allocate(struct disk *d, int fd, uint64_t pos, uint64_t len)
{
	(void)d, (void)fd, (void)pos, (void)len;
	return 0;
}

static _Noreturn void die(int err, const char *what)
{
	fprintf(stderr, "fill: %s: %s\n", what, log_errno_name(err));
	exit(1);
}

static void read_topic_id(const char *data, const char *topic, const char *partition,
			  uint8_t id[16])
{
	char path[4096], text[64];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s-%s/partition.metadata", data, topic, partition);
	f = fopen(path, "re");
	if (!f)
		die(-errno, path);
	if (fscanf(f, "version: 0\ntopic_id: %63s", text) != 1 ||
	    texts_get_id(text, strlen(text), id))
		die(-EBADMSG, path);
	fclose(f);
}

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

int main(int argc, char **argv)
{
	struct plog_config config = { .segment_bytes = GIB,
				      .segment_ms = -1,
				      .retention_ms = -1,
				      .retention_bytes = -1,
				      .index_interval_bytes = INDEX_INTERVAL_BYTES };
	struct store_config store_config = { .reserve_bytes = MIB, .dirty_bytes_max = UINT64_MAX };
	struct io_disk_config io = { .threads = 1 };
	struct store_open_report report = { 0 };
	struct iovec iov = { .iov_base = line, .iov_len = LINE_LEN };
	struct plog_appended done = { 0 };
	struct disk_ops sparse;
	struct store *store;
	struct disk *disk;
	struct plog *log;
	uint64_t bytes;
	uint8_t id[16];
	int r;

	if (argc != 5) {
		fprintf(stderr, "usage: fill DATA TOPIC PARTITION BYTES\n");
		return 2;
	}
	line[LINE_LEN - 1] = '\n';
	bytes = strtoull(argv[4], NULL, 10);
	read_topic_id(argv[1], argv[2], argv[3], id);
	r = io_disk_open(argv[1], &io, &disk);
	if (r)
		die(r, argv[1]);
	real = disk->ops;
	sparse = *real;
	sparse.writev = sparse_writev;
	sparse.allocate = sparse_allocate;
	disk->ops = &sparse;
	r = store_open(disk, &store_config, now_ms(), &store, &report);
	if (r)
		die(r, report.sentence);
	r = store_plog(store, argv[2], id, (uint32_t)strtoul(argv[3], NULL, 10), &config, false,
		       &log);
	while (!r && done.pos + LINE_LEN < bytes)
		r = store_append_lines(store, log, now_ms(), &iov, 1, LINE_LEN, 1, false, &done);
	if (r)
		die(r, "append");
	r = store_close(store);
	if (r)
		die(r, "close");
	disk->ops = real;
	io_disk_free(disk);
	return 0;
}
