/*
 * Objects with a name and an id (topics, groups): an array in the order of names, for listings, and
 * two hash tables (open addressing, linear probing), by name and by id.
 *
 * The entry stands in the object (CONTAINER_OF() leads back); the catalog borrows both from
 * catalog_put() to catalog_remove(). In a catalog that folds, "." and "_" are one letter to the
 * table by name, so that two names that clash meet there; the order of names knows the difference.
 *
 * Running out of memory stops the process: raft/metadata.h says why.
 */
#ifndef TOPICFS_RAFT_CATALOG_H
#define TOPICFS_RAFT_CATALOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum catalog_key { CATALOG_NAME, CATALOG_ID, CATALOG_KEY_CNT };

struct catalog_entry {
	const char *name;  /* borrowed, as is the id */
	const uint8_t *id; /* 16 bytes */
	uint64_t hash[CATALOG_KEY_CNT];
};

struct catalog_table {
	struct catalog_entry **slots; /* NULL: free; owned array, borrowed entries */
	uint32_t cap;		      /* a power of two, at least twice the entries; or 0 */
};

/* Zeroed it is empty. */
struct catalog {
	bool folds;
	struct catalog_entry **entries; /* in the order of names; owned array */
	uint32_t cnt, cap;
	struct catalog_table tables[CATALOG_KEY_CNT];
};

void catalog_fini(struct catalog *c);
/* Takes in an object whose name and id are in it no second time. */
void catalog_put(struct catalog *c, struct catalog_entry *e, const char *name,
		 const uint8_t id[16]);
void catalog_remove(struct catalog *c, struct catalog_entry *e);
/* The entry of that name, or where the catalog folds one that clashes with it; or NULL. */
struct catalog_entry *catalog_find(const struct catalog *c, const char *name);
struct catalog_entry *catalog_find_id(const struct catalog *c, const uint8_t id[16]);
/* In the order of names: idx from 0 to cnt - 1, NULL beyond. */
struct catalog_entry *catalog_at(const struct catalog *c, uint32_t idx);
/* The idx of the first entry whose name is behind the given one, which need not be there. */
uint32_t catalog_after(const struct catalog *c, const char *name);

#endif
