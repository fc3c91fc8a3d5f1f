#define _GNU_SOURCE
#include "oqs.h"

#include <pthread.h>
#include <string.h>

#include "monitor.h"
#include "parallel.h"

void kg_oqs_one(const kg_oqs_batch *batch, kg_oqs_item *item) {
    /* Schemes without contexts want NULL for the empty one. */
    const uint8_t *context = item->context_bytes ? item->context : NULL;
    int failed = batch->sign
        ? batch->sign(batch->scheme, item->signature, &item->signature_bytes, item->message, item->message_bytes, context,
                      item->context_bytes, batch->key)
        : batch->verify(batch->scheme, item->message, item->message_bytes, item->signature, item->signature_bytes,
                        context, item->context_bytes, batch->key);
    item->outcome = failed ? KG_OQS_FAILED : KG_OQS_DONE;
}

static int one_more(kg_oqs_batch *batch) {
    if (atomic_load_explicit(&batch->stop, memory_order_relaxed)) return 0;
    int index = atomic_fetch_add(&batch->next, 1);
    if (index >= batch->count) return 0;
    kg_oqs_one(batch, &batch->items[index]);
    return 1;
}

static void *work(void *argument) {
    while (one_more(argument)) {}
    return NULL;
}

void kg_oqs_run(kg_oqs_batch *batch, int threads) {
    pthread_t started[KG_THREADS_MAX];
    int extra = 0;
    if (batch->ask && batch->ask(batch->asked)) return;
    if (threads > batch->count) threads = batch->count;
    if (threads > KG_THREADS_MAX) threads = KG_THREADS_MAX;
    while (extra < threads - 1 && pthread_create(&started[extra], NULL, work, batch) == 0) extra++;
    int64_t asked_ns = kg_now_ns();
    while (one_more(batch)) {
        if (!batch->ask || kg_now_ns() - asked_ns < batch->ask_every_ns) continue;
        if (batch->ask(batch->asked)) atomic_store(&batch->stop, 1);
        asked_ns = kg_now_ns();
    }
    for (int i = 0; i < extra; i++) pthread_join(started[i], NULL);
}
