/* liboqs called in a loop, with nothing around it: what the providers are measured against. */
#include <oqs/oqs.h>

int sign(const OQS_SIG *scheme, int count, uint8_t *signature, const uint8_t *message, size_t message_bytes,
         const uint8_t *secret) {
    size_t used = 0;
    int failed = 0;
    for (int i = 0; i < count; i++) failed |= OQS_SIG_sign(scheme, signature, &used, message, message_bytes, secret);
    return failed ? -1 : (int)used;
}

int verify(const OQS_SIG *scheme, int count, const uint8_t *signature, size_t signature_bytes, const uint8_t *message,
           size_t message_bytes, const uint8_t *public_key) {
    int failed = 0;
    for (int i = 0; i < count; i++)
        failed |= OQS_SIG_verify(scheme, message, message_bytes, signature, signature_bytes, public_key);
    return failed;
}

int encapsulate(const OQS_KEM *scheme, int count, uint8_t *ciphertext, uint8_t *shared, const uint8_t *public_key) {
    int failed = 0;
    for (int i = 0; i < count; i++) failed |= OQS_KEM_encaps(scheme, ciphertext, shared, public_key);
    return failed;
}

int decapsulate(const OQS_KEM *scheme, int count, uint8_t *shared, const uint8_t *ciphertext, const uint8_t *secret) {
    int failed = 0;
    for (int i = 0; i < count; i++) failed |= OQS_KEM_decaps(scheme, shared, ciphertext, secret);
    return failed;
}
