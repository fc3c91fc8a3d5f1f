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
    atomic_init(&secret->users, 0);
    atomic_init(&secret->closed, 0);
    return 0;
}

/* Whoever closes it last sees no user, or whoever uses it last sees that it is closed: the order of both pairs of
 * operations is sequentially consistent. */
int kg_secret_take(kg_secret *secret) {
    atomic_fetch_add(&secret->users, 1);
    if (!atomic_load(&secret->closed)) return 0;
    kg_secret_release(secret);
    return -1;
}

void kg_secret_release(kg_secret *secret) {
    if (atomic_fetch_sub(&secret->users, 1) == 1 && atomic_load(&secret->closed))
        explicit_bzero(secret->bytes, secret->size);
}

void kg_secret_close(kg_secret *secret) {
    atomic_store(&secret->closed, 1);
    if (!atomic_load(&secret->users)) explicit_bzero(secret->bytes, secret->size);
}

void kg_secret_free(kg_secret *secret) {
    if (!secret->bytes) return;
    explicit_bzero(secret->bytes, secret->size);
    munmap(secret->bytes, secret->mapped);
    secret->bytes = NULL;
}
