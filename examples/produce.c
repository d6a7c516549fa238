/*
 * A producer that knows when its records are safe: appends the lines of its standard input to a
 * partition, each write() and fsync() a batch, and prints where the records went.
 *
 *   cc -o produce examples/produce.c
 *   ./produce mnt/topics/orders/0 < lines        fsync after what one read() gave
 *   ./produce mnt/topics/orders/all < lines      the broker chooses the partition
 *
 * One write() of up to 1,044,480 bytes is all or nothing, and its lines become consecutive records.
 * A partition that is opened read-write answers: reading it gives one line of JSON for each record
 * written through this descriptor, with its partition and offset.
 */
#define _GNU_SOURCE /* memrchr */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ATOMIC_MAX 1044480

static void die(const char *what)
{
	fprintf(stderr, "produce: %s: %s (the mount's file errors says why)\n", what,
		strerror(errno));
	exit(1);
}

/* Ends only when all of it is written. A refused write has stored nothing, so it may be repeated;
 * one that was interrupted has stored nothing either. */
static void append(int fd, const char *data, size_t len, int and_sync)
{
	ssize_t n;

	do
		n = write(fd, data, len);
	while (n < 0 && errno == EINTR);
	if (n != (ssize_t)len)
		die("write");
	if (and_sync && fsync(fd))
		die("fsync");
}

/* The answers of what was written last; end of file says that there are no more. */
static void print_answers(int fd)
{
	char buf[65536];
	ssize_t n;

	while ((n = read(fd, buf, sizeof(buf))) > 0) {
		if (fwrite(buf, 1, (size_t)n, stdout) != (size_t)n)
			die("output");
	}
	if (n < 0)
		die("read of the answers");
}

int main(int argc, char **argv)
{
	static char buf[ATOMIC_MAX];
	size_t len = 0;
	ssize_t n;
	int fd;

	if (argc != 2) {
		fprintf(stderr, "usage: produce TOPIC_DIR/PARTITION < lines\n");
		return 2;
	}
	fd = open(argv[1], O_RDWR | O_APPEND);
	if (fd < 0)
		die(argv[1]);
	while ((n = read(STDIN_FILENO, buf + len, sizeof(buf) - len)) != 0) {
		const char *end;
		size_t whole;

		if (n < 0)
			die("input");
		len += (size_t)n;
		end = memrchr(buf, '\n', len);
		if (!end && len < sizeof(buf))
			continue;
		/* A line longer than the buffer goes in pieces and is one record all the same; an
		 * fsync in its middle would end it. */
		whole = end ? (size_t)(end - buf) + 1 : len;
		append(fd, buf, whole, end != NULL);
		print_answers(fd);
		memmove(buf, buf + whole, len - whole);
		len -= whole;
	}
	/* fsync() ends a line that has no newline. */
	if (len)
		append(fd, buf, len, 1);
	print_answers(fd);
	if (close(fd) || fflush(stdout))
		die("close");
	return 0;
}
