#define _GNU_SOURCE
#include "oqs.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int kg_secret_init(kg_secret *secret, const uint8_t *bytes, size_t size) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t mapped = (size + page) / page * page;
    void *memory = mmap(NULL, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return -1;
    mlock(memory, mapped); /* how much a process may lock is the operator's: what is refused is done without */
    madvise(memory, mapped, MADV_DONTDUMP);
    memcpy(memory, bytes, size);
    secret->bytes = memory;
    secret->size = size;
    secret->mapped = mapped;
    atomic_init(&secret->state, 0);
    return 0;
}

/* Users and the mark that it is closed are one number, so that whoever makes it CLOSED with no user left is one only, and
 * nobody takes the key between a look at the one and a look at the other. */
enum { CLOSED = 1, USER = 2 };

int kg_secret_take(kg_secret *secret) {
    if (!(atomic_fetch_add(&secret->state, USER) & CLOSED)) return 0;
    kg_secret_release(secret);
    return -1;
}

void kg_secret_release(kg_secret *secret) {
    if (atomic_fetch_sub(&secret->state, USER) == (USER | CLOSED)) explicit_bzero(secret->bytes, secret->size);
}

void kg_secret_close(kg_secret *secret) {
    if (atomic_fetch_or(&secret->state, CLOSED) == 0) explicit_bzero(secret->bytes, secret->size);
}

void kg_secret_free(kg_secret *secret) {
    if (!secret->bytes) return;
    explicit_bzero(secret->bytes, secret->size);
    munmap(secret->bytes, secret->mapped);
    secret->bytes = NULL;
}
