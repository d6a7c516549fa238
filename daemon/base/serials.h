/*
 * Objects by number: each gets the next one, which is never given again, and is found by it until
 * it is removed. Takes memory for the objects that are there, not for the numbers that were given.
 */
#ifndef TOPICFS_BASE_SERIALS_H
#define TOPICFS_BASE_SERIALS_H

#include <stddef.h>
#include <stdint.h>

struct serial {
	uint64_t number;
	void *what; /* the caller's */
};

/* Zeros are one without objects. */
struct serials {
	struct serial *v; /* owned; in the order of numbers */
	size_t cnt, cap;
	uint64_t last; /* number that was given */
};

/* Its number, from 1 on. Takes memory as what is decided does (fund.h). */
uint64_t serials_add(struct serials *s, void *what);
/* NULL: there is none of this number. */
void *serials_find(const struct serials *s, uint64_t number);
/* The first one with this number or a higher one; NULL: there is none. */
void *serials_from(const struct serials *s, uint64_t number);
/* One that is there. */
void serials_remove(struct serials *s, uint64_t number);
/* Frees the memory; the objects are the caller's. */
void serials_fini(struct serials *s);

#endif
