/*
 * The binary as it is, whose disk notes its calls in the file TOPICFS_TRACE
 * (tests/lib/tracedisk.h). It is linked with io_disk_open() wrapped.
 */
#include "daemon/io/disk.h"
#include "tests/lib/tracedisk.h"

#include <errno.h>
#include <stdlib.h>

int __real_io_disk_open(const char *data_dir, const struct io_disk_config *config,
			struct disk **ret);
int __wrap_io_disk_open(const char *data_dir, const struct io_disk_config *config,
			struct disk **ret);

int __wrap_io_disk_open(const char *data_dir, const struct io_disk_config *config,
			struct disk **ret)
{
	const char *path = getenv("TOPICFS_TRACE");
	int r = __real_io_disk_open(data_dir, config, ret);
	FILE *out;

	if (r || !path)
		return r;
	out = fopen(path, "a");
	if (!out)
		return -errno;
	tracedisk_begin(*ret, out);
	return 0;
}
