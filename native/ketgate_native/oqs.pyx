# cython: language_level=3, boundscheck=False, wraparound=False, freethreading_compatible=True
"""Keys of liboqs, used without the GIL through the addresses of its functions; the loop is in src/oqs.c."""
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.ref cimport PyObject
from libc.stdint cimport int64_t, uint8_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset

from ketgate_native._arrays import count as _count


cdef extern from "src/oqs.h" nogil:
    ctypedef int (*kg_oqs_sign)(const void *, uint8_t *, size_t *, const uint8_t *, size_t, const uint8_t *, size_t,
                                const uint8_t *)
    ctypedef int (*kg_oqs_verify)(const void *, const uint8_t *, size_t, const uint8_t *, size_t, const uint8_t *,
                                  size_t, const uint8_t *)
    ctypedef int (*kg_oqs_encapsulate)(const void *, uint8_t *, uint8_t *, const uint8_t *)
    ctypedef int (*kg_oqs_decapsulate)(const void *, uint8_t *, const uint8_t *, const uint8_t *)

    enum:
        KG_OQS_DONE
        KG_OQS_FAILED
        KG_OQS_UNDONE

    ctypedef struct kg_oqs_item:
        const uint8_t *message
        const uint8_t *context
        size_t message_bytes, context_bytes
        uint8_t *signature
        size_t signature_bytes
        int outcome

    ctypedef struct kg_oqs_batch:
        const void *scheme
        const void *key
        kg_oqs_sign sign
        kg_oqs_verify verify
        kg_oqs_item *items
        int count
        int (*ask)(void *)
        void *asked
        int64_t ask_every_ns

    void kg_oqs_one(const kg_oqs_batch *batch, kg_oqs_item *item)
    void kg_oqs_run(kg_oqs_batch *batch, int threads)

    ctypedef struct kg_secret:
        uint8_t *bytes
        size_t size

    int kg_secret_init(kg_secret *secret, const uint8_t *bytes, size_t size)
    int kg_secret_take(kg_secret *secret)
    void kg_secret_release(kg_secret *secret)
    void kg_secret_close(kg_secret *secret)
    void kg_secret_free(kg_secret *secret)


ITEMS_MAX = 1_000_000
CONTEXT_BYTES_MAX = 255
OUTPUT_BYTES_MAX = 1 << 20
THREADS_MAX = 64
# Taking the GIL back may wait 5 ms for whoever has it: a fifth of one thread's time, where all others are busy.
cdef int64_t ASK_EVERY_NS = 20_000_000


class Failed(Exception):
    pass


class Closed(Exception):
    pass


cdef class _Asked:
    cdef object stop, failure


cdef int _ask(void *asked) noexcept with gil:
    cdef _Asked of = <_Asked>asked
    try:
        return 1 if of.stop() else 0
    except BaseException as failure:
        of.failure = failure
        return 1


cdef size_t _address(object given, str name) except 0:
    if not isinstance(given, int) or given <= 0:
        raise ValueError(f"{name}: expected an address, given {given!r}")
    return <size_t>given


cdef int _set(kg_oqs_item *item, bytes message, bytes context, str name) except -1:
    if message is None or context is None:
        raise TypeError(f"{name}: expected bytes, given None")
    if PyBytes_GET_SIZE(context) > CONTEXT_BYTES_MAX:
        raise ValueError(f"{name}: expected a context of at most {CONTEXT_BYTES_MAX} bytes, given {len(context)}")
    item.message = <const uint8_t *>PyBytes_AS_STRING(message)
    item.message_bytes = <size_t>PyBytes_GET_SIZE(message)
    item.context = <const uint8_t *>PyBytes_AS_STRING(context)
    item.context_bytes = <size_t>PyBytes_GET_SIZE(context)
    item.outcome = KG_OQS_UNDONE
    return 0


cdef class _Secret:
    """The memory of a private key, which its users hold on to while they work."""
    cdef kg_secret memory

    def __cinit__(self, secret):
        cdef const uint8_t[::1] given = secret
        memset(&self.memory, 0, sizeof(kg_secret))
        if not given.shape[0]:
            raise ValueError("secret: expected bytes, given none")
        if kg_secret_init(&self.memory, &given[0], given.shape[0]):
            raise MemoryError("no memory for a private key")

    def __dealloc__(self):
        kg_secret_free(&self.memory)


cdef class _Run:
    """The items of one batch; what they point to is kept by the caller."""
    cdef kg_oqs_batch batch
    cdef _Asked asked

    def __cinit__(self, int count):
        memset(&self.batch, 0, sizeof(kg_oqs_batch))
        self.batch.count = count
        self.batch.items = <kg_oqs_item *>calloc(max(count, 1), sizeof(kg_oqs_item))
        if self.batch.items is NULL:
            raise MemoryError(f"no memory for a batch of {count}")

    def __dealloc__(self):
        free(self.batch.items)

    cdef int run(self, int threads, object stop, int64_t ask_every_ns) except -1:
        if stop is not None:
            self.asked = _Asked()
            self.asked.stop = stop
            self.batch.ask, self.batch.asked = _ask, <void *><PyObject *>self.asked
            self.batch.ask_every_ns = ask_every_ns
        with nogil:
            kg_oqs_run(&self.batch, threads)
        if self.asked is not None and self.asked.failure is not None:
            raise self.asked.failure
        return 0


cdef _Run _begin(tuple first, tuple contexts, str name, tuple others=None):
    """A run with as many items as all of these tuples have: nobody can change them meanwhile."""
    sizes = {len(first), len(contexts), len(first if others is None else others)}
    if len(sizes) > 1:
        raise ValueError(f"{name}: expected as many of each, given {', '.join(map(str, sorted(sizes)))}")
    if len(first) > ITEMS_MAX:
        raise ValueError(f"{name}: expected at most {ITEMS_MAX}, given {len(first)}")
    return _Run(len(first))


cdef class SigningKey:
    cdef _Secret secret
    cdef size_t scheme, function, size

    def __init__(self, *, scheme, sign, secret, signature_bytes):
        self.scheme = _address(scheme, "scheme")
        self.function = _address(sign, "sign")
        self.size = _count(signature_bytes, "signature_bytes", 1, OUTPUT_BYTES_MAX)
        self.secret = _Secret(secret)

    cdef void _point(self, kg_oqs_batch *batch) noexcept:
        batch.scheme, batch.key = <const void *>self.scheme, self.secret.memory.bytes
        batch.sign = <kg_oqs_sign>self.function

    def sign(self, bytes message not None, bytes context not None=b""):
        cdef kg_oqs_batch batch
        cdef kg_oqs_item item
        memset(&batch, 0, sizeof(batch))
        self._point(&batch)
        _set(&item, message, context, "context")
        cdef bytes room = PyBytes_FromStringAndSize(NULL, self.size)
        item.signature, item.signature_bytes = <uint8_t *>PyBytes_AS_STRING(room), self.size
        if kg_secret_take(&self.secret.memory):
            raise Closed("the key was closed")
        with nogil:
            kg_oqs_one(&batch, &item)
            kg_secret_release(&self.secret.memory)
        if item.outcome == KG_OQS_FAILED:
            raise Failed("the library could not sign")
        return room if item.signature_bytes == self.size else room[:item.signature_bytes]

    def sign_many(self, messages, contexts, *, threads=1, stop=None, ask_every_ms=None):
        messages, contexts = tuple(messages), tuple(contexts)
        cdef _Run run = _begin(messages, contexts, "messages, contexts")
        cdef int workers = _count(threads, "threads", 1, THREADS_MAX), i
        cdef int64_t every = ASK_EVERY_NS if ask_every_ms is None else <int64_t>(float(ask_every_ms) * 1e6)
        cdef kg_oqs_item *item
        cdef bytes room
        self._point(&run.batch)
        rooms = []
        for i, (message, context) in enumerate(zip(messages, contexts)):
            item = &run.batch.items[i]
            _set(item, message, context, f"contexts[{i}]")
            room = PyBytes_FromStringAndSize(NULL, self.size)
            item.signature, item.signature_bytes = <uint8_t *>PyBytes_AS_STRING(room), self.size
            rooms.append(room)
        if kg_secret_take(&self.secret.memory):
            raise Closed("the key was closed")
        try:
            run.run(workers, stop, every)
        finally:
            kg_secret_release(&self.secret.memory)
        for i in range(run.batch.count):
            item = &run.batch.items[i]
            if item.outcome == KG_OQS_FAILED:
                raise Failed(f"the library could not sign item {i}")
            if item.outcome == KG_OQS_UNDONE:
                rooms[i] = None
            elif item.signature_bytes != self.size:
                rooms[i] = rooms[i][:item.signature_bytes]
        return rooms

    def close(self):
        kg_secret_close(&self.secret.memory)


cdef class VerifyingKey:
    cdef bytes public_key
    cdef size_t scheme, function

    def __init__(self, *, scheme, verify, bytes public_key not None):
        self.scheme = _address(scheme, "scheme")
        self.function = _address(verify, "verify")
        self.public_key = public_key

    cdef void _point(self, kg_oqs_batch *batch) noexcept:
        batch.scheme, batch.key = <const void *>self.scheme, <const void *>PyBytes_AS_STRING(self.public_key)
        batch.verify = <kg_oqs_verify>self.function

    def verify(self, bytes signature not None, bytes message not None, bytes context not None=b""):
        cdef kg_oqs_batch batch
        cdef kg_oqs_item item
        memset(&batch, 0, sizeof(batch))
        self._point(&batch)
        _set(&item, message, context, "context")
        item.signature = <uint8_t *>PyBytes_AS_STRING(signature)
        item.signature_bytes = <size_t>PyBytes_GET_SIZE(signature)
        with nogil:
            kg_oqs_one(&batch, &item)
        return item.outcome == KG_OQS_DONE

    def verify_many(self, signatures, messages, contexts, *, threads=1, stop=None, ask_every_ms=None):
        signatures, messages, contexts = tuple(signatures), tuple(messages), tuple(contexts)
        cdef _Run run = _begin(messages, contexts, "signatures, messages, contexts", signatures)
        cdef int workers = _count(threads, "threads", 1, THREADS_MAX), i
        cdef int64_t every = ASK_EVERY_NS if ask_every_ms is None else <int64_t>(float(ask_every_ms) * 1e6)
        cdef kg_oqs_item *item
        cdef bytes signature
        self._point(&run.batch)
        for i, (given, message, context) in enumerate(zip(signatures, messages, contexts)):
            item = &run.batch.items[i]
            _set(item, message, context, f"contexts[{i}]")
            signature = given
            if signature is None:
                raise TypeError(f"signatures[{i}]: expected bytes, given None")
            item.signature = <uint8_t *>PyBytes_AS_STRING(signature)
            item.signature_bytes = <size_t>PyBytes_GET_SIZE(signature)
        run.run(workers, stop, every)
        return [
            None if run.batch.items[i].outcome == KG_OQS_UNDONE else run.batch.items[i].outcome == KG_OQS_DONE
            for i in range(run.batch.count)
        ]


cdef class DecapsulationKey:
    cdef _Secret secret
    cdef size_t scheme, function, ciphertext_size, shared_size

    def __init__(self, *, scheme, decapsulate, secret, ciphertext_bytes, shared_bytes):
        self.scheme = _address(scheme, "scheme")
        self.function = _address(decapsulate, "decapsulate")
        self.ciphertext_size = _count(ciphertext_bytes, "ciphertext_bytes", 1, OUTPUT_BYTES_MAX)
        self.shared_size = _count(shared_bytes, "shared_bytes", 1, OUTPUT_BYTES_MAX)
        self.secret = _Secret(secret)

    def decapsulate(self, bytes ciphertext not None):
        if <size_t>PyBytes_GET_SIZE(ciphertext) != self.ciphertext_size:
            raise ValueError(f"ciphertext: expected {self.ciphertext_size} bytes, given {len(ciphertext)}")
        cdef bytes shared = PyBytes_FromStringAndSize(NULL, self.shared_size)
        cdef uint8_t *into = <uint8_t *>PyBytes_AS_STRING(shared)
        cdef const uint8_t *given = <const uint8_t *>PyBytes_AS_STRING(ciphertext)
        cdef int failed
        if kg_secret_take(&self.secret.memory):
            raise Closed("the key was closed")
        with nogil:
            failed = (<kg_oqs_decapsulate>self.function)(<const void *>self.scheme, into, given,
                                                         self.secret.memory.bytes)
            kg_secret_release(&self.secret.memory)
        if failed:
            raise Failed("the library could not decapsulate")
        return shared

    def close(self):
        kg_secret_close(&self.secret.memory)


cdef class EncapsulationKey:
    cdef bytes public_key
    cdef size_t scheme, function, ciphertext_size, shared_size

    def __init__(self, *, scheme, encapsulate, bytes public_key not None, ciphertext_bytes, shared_bytes):
        self.scheme = _address(scheme, "scheme")
        self.function = _address(encapsulate, "encapsulate")
        self.ciphertext_size = _count(ciphertext_bytes, "ciphertext_bytes", 1, OUTPUT_BYTES_MAX)
        self.shared_size = _count(shared_bytes, "shared_bytes", 1, OUTPUT_BYTES_MAX)
        self.public_key = public_key

    def encapsulate(self):
        cdef bytes shared = PyBytes_FromStringAndSize(NULL, self.shared_size)
        cdef bytes ciphertext = PyBytes_FromStringAndSize(NULL, self.ciphertext_size)
        cdef uint8_t *into = <uint8_t *>PyBytes_AS_STRING(shared)
        cdef uint8_t *wrapped = <uint8_t *>PyBytes_AS_STRING(ciphertext)
        cdef const uint8_t *key = <const uint8_t *>PyBytes_AS_STRING(self.public_key)
        cdef int failed
        with nogil:
            failed = (<kg_oqs_encapsulate>self.function)(<const void *>self.scheme, wrapped, into, key)
        if failed:
            raise Failed("the library could not encapsulate")
        return shared, ciphertext
