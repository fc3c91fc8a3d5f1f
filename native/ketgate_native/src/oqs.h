/* Batches of signatures and verifications of liboqs on a few threads.
 *
 * Nothing here is linked against liboqs: the caller hands in the addresses of OQS_SIG_sign_with_ctx_str and
 * OQS_SIG_verify_with_ctx_str, and of the OQS_SIG they work on. Both may be called by many threads at once.
 */
#ifndef KETGATE_OQS_H
#define KETGATE_OQS_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

typedef int (*kg_oqs_sign)(const void *scheme, uint8_t *signature, size_t *signature_bytes, const uint8_t *message,
                           size_t message_bytes, const uint8_t *context, size_t context_bytes, const uint8_t *secret);
typedef int (*kg_oqs_verify)(const void *scheme, const uint8_t *message, size_t message_bytes, const uint8_t *signature,
                             size_t signature_bytes, const uint8_t *context, size_t context_bytes,
                             const uint8_t *public_key);
typedef int (*kg_oqs_encapsulate)(const void *scheme, uint8_t *ciphertext, uint8_t *shared, const uint8_t *public_key);
typedef int (*kg_oqs_decapsulate)(const void *scheme, uint8_t *shared, const uint8_t *ciphertext,
                                  const uint8_t *secret);

enum { KG_OQS_DONE = 0, KG_OQS_FAILED = 1, KG_OQS_UNDONE = 2 };

typedef struct {
    const uint8_t *message, *context;
    size_t message_bytes, context_bytes;
    uint8_t *signature;     /* written when signing */
    size_t signature_bytes; /* room when signing; then what was used */
    int outcome;
} kg_oqs_item;

typedef struct {
    const void *scheme, *key;
    kg_oqs_sign sign; /* or NULL, and */
    kg_oqs_verify verify;
    kg_oqs_item *items;
    int count;
    /* Asked by the calling thread between its items, at most so often: taking the GIL may wait for it. */
    int (*ask)(void *asked);
    void *asked;
    int64_t ask_every_ns;
    atomic_int next, stop;
} kg_oqs_batch;

void kg_oqs_one(const kg_oqs_batch *batch, kg_oqs_item *item);
void kg_oqs_run(kg_oqs_batch *batch, int threads);

/* A private key in memory of its own: kept out of swap and of core dumps where the system lets us, and overwritten
 * when the last user of a closed one lets go. */
typedef struct {
    uint8_t *bytes;
    size_t size, mapped;
    atomic_int state; /* how many use it, and whether it is closed */
} kg_secret;

int kg_secret_init(kg_secret *secret, const uint8_t *bytes, size_t size); /* 0, or -1 without memory */
int kg_secret_take(kg_secret *secret);                                    /* 0, or -1 when it was closed */
void kg_secret_release(kg_secret *secret);
void kg_secret_close(kg_secret *secret);
void kg_secret_free(kg_secret *secret);

#endif
