"""AuditService: messages in, messages out."""

from contextlib import suppress
from dataclasses import replace

from ketgate._merkle import leaf_hash
from ketgate.audit.v1 import audit_service_pb2 as pb

from ketgate_server.audit import convert, entries, keys, merkle, nodes
from ketgate_server.audit.heads import Heads
from ketgate_server.audit.log import Checkpoint, Fact
from ketgate_server.audit.sequencer import Sequencer
from ketgate_server.audit.signer import Reopen, Signer
from ketgate_server.errors import FieldError, NotFound
from ketgate_server.rpc.call import Call, Identity, Method, Service
from ketgate_server.store import requests
from ketgate_server.store.base import Row, Store, StoreUnavailable, Transaction
from ketgate_server.store.erasure import Traces, erasing

NAME = "ketgate.audit.v1.AuditService"
ROLE = "audit.reader"
ADMIN_ROLE = "admin"
CATCH_UP_S_MAX = 10.0


def create_service(
    store: Store,
    sequencer: Sequencer,
    signer: Signer,
    reopen: Reopen = lambda _: None,
    checkpoint: Checkpoint = lambda _: {},
    traces: Traces | None = None,
) -> Service:
    """The service as the edge serves it. traces: told of what is redacted, and cleared again and
    again by somebody else."""
    traces = traces or Traces(store)
    servicer = AuditServicer(store, sequencer, Heads(store, signer, reopen), checkpoint, traces)
    return Service(
        NAME,
        {
            "GetSignedTreeHead": Method(
                pb.GetSignedTreeHeadRequest, ROLE, unary=servicer.get_signed_tree_head
            ),
            "GetInclusionProof": Method(
                pb.GetInclusionProofRequest, ROLE, unary=servicer.get_inclusion_proof
            ),
            "GetConsistencyProof": Method(
                pb.GetConsistencyProofRequest, ROLE, unary=servicer.get_consistency_proof
            ),
            "ListEntries": Method(pb.ListEntriesRequest, ROLE, unary=servicer.list_entries),
            "RedactEntry": Method(
                pb.RedactEntryRequest, ADMIN_ROLE, unary=servicer.redact_entry, mutates=True
            ),
        },
    )


class AuditServicer:
    """Parse, call the domain, build the answer."""

    def __init__(
        self,
        store: Store,
        sequencer: Sequencer,
        heads: Heads,
        checkpoint: Checkpoint,
        traces: Traces,
    ) -> None:
        self._traces = traces
        self._store = store
        self._checkpoint = checkpoint
        self._sequencer = sequencer
        self._heads = heads

    def get_signed_tree_head(
        self, call: Call, request: pb.GetSignedTreeHeadRequest
    ) -> pb.GetSignedTreeHeadResponse:
        known = convert.read_known_key(request)
        head = self._heads.at(self._newest(call))
        rotations: list[Row] = []
        if known is not None and known != head.signer.key_id:
            with self._store.read() as reader:
                rotations = keys.rotations(reader, known)
        return pb.GetSignedTreeHeadResponse(head=convert.signed_head(head, rotations))

    def get_inclusion_proof(
        self, call: Call, request: pb.GetInclusionProofRequest
    ) -> pb.GetInclusionProofResponse:
        size = convert.read_size(request.size, self._newest(call), "size")
        index = convert.read_index(request.index, size)
        with self._store.read() as reader:
            leaf = leaf_hash(nodes.commitments(reader, index, index + 1)[0])
            hashes = merkle.inclusion_proof(nodes.StoredNodes(reader), index, size)
        return pb.GetInclusionProofResponse(size=size, leaf_hash=leaf, hashes=hashes)

    def get_consistency_proof(
        self, call: Call, request: pb.GetConsistencyProofRequest
    ) -> pb.GetConsistencyProofResponse:
        new_size = convert.read_size(request.new_size, self._newest(call), "new_size")
        old_size = convert.read_old_size(request.old_size, new_size)
        with self._store.read() as reader:
            hashes = merkle.consistency_proof(nodes.StoredNodes(reader), old_size, new_size)
        return pb.GetConsistencyProofResponse(new_size=new_size, hashes=hashes)

    def list_entries(self, call: Call, request: pb.ListEntriesRequest) -> pb.ListEntriesResponse:
        first, count = convert.read_page(request)
        with self._store.read() as reader:
            rows = entries.page(reader, first, count + 1)
        more = len(rows) > count
        return pb.ListEntriesResponse(
            entries=[_entry(row, call.identity) for row in rows[:count]],
            next_page_token=str(rows[count][0]) if more else "",
        )

    def redact_entry(self, call: Call, request: pb.RedactEntryRequest) -> pb.RedactEntryResponse:
        index, reason, request_id = convert.read_redaction(request)
        digest = requests.request_digest(request)
        fact = Fact(
            call.identity.subject,
            call.identity.tenant,
            call.method,
            entries.resource(index),
            request_digest=digest,
            call_id=call.request_id,
            facts={"reason": reason},
        )
        missing = NotFound(entries.resource(index), field="index")

        def operation(tx: Transaction) -> Row:
            if keys.is_about_a_key(tx, index):
                raise FieldError(
                    "index",
                    expected="an entry that does not prove a key of the log",
                    given=index,
                    hint="it says nothing of persons, and clients need it to trust the log's key",
                )
            with erasing(self._store, tx):
                return entries.redact(
                    tx, index, replace(fact), request_id, digest, missing, self._checkpoint
                )

        row = self._store.run(operation)
        self._traces.leave()
        with suppress(StoreUnavailable):  # it is done; its traces are cleared later
            self._traces.clear()
        return pb.RedactEntryResponse(entry=_entry(row, call.identity))

    def _newest(self, call: Call) -> int:
        """Size of the tree, with all that was durable when the call arrived."""
        return self._sequencer.catch_up(min(CATCH_UP_S_MAX, call.remaining_s()))


def _entry(row: Row, identity: Identity) -> pb.AuditEntry:
    own = entries.tenant_of(row) == identity.tenant
    return convert.entry(row, visible=own or ADMIN_ROLE in identity.roles)
