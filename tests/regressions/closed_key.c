/* A private key is used by one thread and closed by another, in every order of the steps at which they can meet: prints
 * how often a key was overwritten while somebody had it, and how often one was left when nobody had.
 *
 * There are no threads. What one does is put, as a whole, before each of the other's looks at their common state. */
#include <stdatomic.h>

static void step(void);
#undef atomic_load
#undef atomic_store
#undef atomic_fetch_add
#undef atomic_fetch_sub
#undef atomic_fetch_or
#define atomic_load(at) (step(), atomic_load_explicit(at, memory_order_seq_cst))
#define atomic_store(at, value) (step(), atomic_store_explicit(at, value, memory_order_seq_cst))
#define atomic_fetch_add(at, value) (step(), atomic_fetch_add_explicit(at, value, memory_order_seq_cst))
#define atomic_fetch_sub(at, value) (step(), atomic_fetch_sub_explicit(at, value, memory_order_seq_cst))
#define atomic_fetch_or(at, value) (step(), atomic_fetch_or_explicit(at, value, memory_order_seq_cst))

#include "oqs_secret.c"

#include <stdio.h>

enum { STEPS_MAX = 16 };
static const uint8_t KEY[64] = {7};
static kg_secret secret;
static const char *between;
static int steps_until, holders;

/* t: take, and keep it if that was granted; r: release what was kept; c: close. */
static void run(const char *operations) {
    int taken = 0;
    for (const char *operation = operations; *operation; operation++) {
        if (*operation == 't') taken += !kg_secret_take(&secret);
        if (*operation == 'c') kg_secret_close(&secret);
        if (*operation == 'r' && taken) {
            kg_secret_release(&secret);
            taken--;
        }
    }
    holders += taken;
}

static void step(void) {
    if (steps_until-- == 0) run(between);
}

int main(void) {
    static const char *const MEETINGS[][2] = {{"tr", "tc"}, {"tr", "c"}, {"t", "c"}, {"c", "t"}, {"c", "tr"}, {"c", "c"}};
    int overwritten = 0, left = 0;
    for (size_t i = 0; i < sizeof(MEETINGS) / sizeof(*MEETINGS); i++) {
        for (int at = 0; at < STEPS_MAX; at++) {
            if (kg_secret_init(&secret, KEY, sizeof(KEY))) return 1;
            between = MEETINGS[i][1], steps_until = at, holders = 0;
            run(MEETINGS[i][0]);
            steps_until = -1;
            overwritten += holders && secret.bytes[0] != KEY[0];
            while (holders) {
                kg_secret_release(&secret);
                holders--;
            }
            kg_secret_close(&secret);
            left += secret.bytes[0] != 0;
            kg_secret_free(&secret);
        }
    }
    printf("%d %d\n", overwritten, left);
    return 0;
}
