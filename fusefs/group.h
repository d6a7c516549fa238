/*
 * Consumer groups as names and control files (DESIGN 4): what stands below groups/. Streams are in
 * member.h.
 */
#ifndef TOPICFS_FUSEFS_GROUP_H
#define TOPICFS_FUSEFS_GROUP_H

#include "fusefs/fs.h"

/* group_names.c */
/* The permission bits of a group's directory or file. */
mode_t group_mode(const struct where *w);
/* A name in groups/, or below a group: 0 with its node id, -ENOENT, others. */
MUST_CHECK int group_look_up(struct fs *fs, fuse_req_t req, const struct where *dir,
			     const char *name, uint64_t *ret_id);
/* The entries of groups/, or of a group's directory. */
void group_list(fuse_req_t req, struct listing *l, const struct where *w);
void group_refuse_create(fuse_req_t req, const struct where *w, const char *name);

/* group_files.c */
/* Whether this kind of file takes group_write(). */
bool group_is_control(enum node_kind kind);
/* Appends what a group's file reads as; nothing where it has nothing to say. */
MUST_CHECK int group_fill(struct fs *fs, const struct where *w, const struct be_caller *c,
			  struct buf *out);
void group_write(struct fs *fs, fuse_req_t req, fuse_ino_t ino, struct handle *h, const char *data,
		 size_t len, int flags);
void group_fsync(struct fs *fs, fuse_req_t req, struct handle *h);
/* A write of the group is stored now, and is to be made stable before it is answered. */
void group_sync_parked(struct fs *fs, struct parked *p);
/* `join`, opened read-write or write only: a request; and the line of the next generation. */
void group_join_write(struct fs *fs, fuse_req_t req, struct handle *h, const char *data,
		      size_t len);
void group_join_read(struct fs *fs, fuse_req_t req, struct handle *h, size_t size, unsigned flags,
		     struct parked *p);
bool group_join_ready(struct fs *fs, const struct handle *h);

#endif
