"""ArtifactService: messages in, messages out. The work is done by the ArtifactStore."""

from collections.abc import Iterator

from google.protobuf.message import Message
from ketgate.artifacts.v1 import artifact_service_pb2 as pb

from ketgate_server.artifacts import convert
from ketgate_server.artifacts.index import ArtifactRow, upload_name
from ketgate_server.artifacts.store import CHUNK_BYTES_MAX, ArtifactStore
from ketgate_server.rpc.call import Call, Method, Service, UnaryFunction

NAME = "ketgate.artifacts.v1.ArtifactService"
ROLE = "artifacts.user"


def create_service(artifacts: ArtifactStore) -> Service:
    """The service as the edge serves it."""
    own = ArtifactServicer(artifacts)
    counting, counting_stream = artifacts.metrics.counting, artifacts.metrics.counting_stream

    def unary(request: type[Message], function: UnaryFunction, *, mutates: bool = False) -> Method:
        return Method(request, ROLE, unary=counting(function), mutates=mutates)

    read = Method(pb.ReadArtifactRequest, ROLE, stream=counting_stream(own.read_artifact))
    return Service(
        NAME,
        {
            "CreateUpload": unary(pb.CreateUploadRequest, own.create_upload, mutates=True),
            "WriteUpload": unary(pb.WriteUploadRequest, own.write_upload),
            "GetUpload": unary(pb.GetUploadRequest, own.get_upload),
            "FinishUpload": unary(pb.FinishUploadRequest, own.finish_upload, mutates=True),
            "GetArtifact": unary(pb.GetArtifactRequest, own.get_artifact),
            "ReadArtifact": read,
            "ListArtifacts": unary(pb.ListArtifactsRequest, own.list_artifacts),
            "DeleteArtifact": unary(pb.DeleteArtifactRequest, own.delete_artifact, mutates=True),
        },
    )


class ArtifactServicer:
    """Parse, call the store, build the answer."""

    def __init__(self, artifacts: ArtifactStore) -> None:
        self._artifacts = artifacts

    def create_upload(self, call: Call, request: pb.CreateUploadRequest) -> pb.CreateUploadResponse:
        found, offset = self._artifacts.begin(
            convert.asker(call, request),
            convert.read_sha256(request.sha256),
            convert.read_size(request.size_bytes),
            convert.read_media_type(request.media_type),
        )
        answer = pb.CreateUploadResponse(offset=offset, chunk_bytes=CHUNK_BYTES_MAX)
        if isinstance(found, ArtifactRow):
            answer.artifact.CopyFrom(self._written(found))
        else:
            answer.upload = upload_name(found.id)
        return answer

    def write_upload(self, call: Call, request: pb.WriteUploadRequest) -> pb.WriteUploadResponse:
        upload, content = convert.read_upload(request.upload), convert.read_chunk(request)
        end = self._artifacts.write(call.identity.tenant, upload, request.offset, content)
        return pb.WriteUploadResponse(offset=end)

    def get_upload(self, call: Call, request: pb.GetUploadRequest) -> pb.GetUploadResponse:
        upload = convert.read_upload(request.upload)
        offset, size_bytes = self._artifacts.progress(call.identity.tenant, upload)
        return pb.GetUploadResponse(offset=offset, size_bytes=size_bytes)

    def finish_upload(self, call: Call, request: pb.FinishUploadRequest) -> pb.FinishUploadResponse:
        upload = convert.read_upload(request.upload)
        made = self._artifacts.finish(
            convert.asker(call, request), upload, is_abandoned=lambda: call.cancelled
        )
        return pb.FinishUploadResponse(artifact=self._written(made))

    def get_artifact(self, call: Call, request: pb.GetArtifactRequest) -> pb.GetArtifactResponse:
        row = self._artifacts.get(call.identity.tenant, convert.read_name(request.name))
        return pb.GetArtifactResponse(artifact=self._written(row))

    def read_artifact(
        self, call: Call, request: pb.ReadArtifactRequest
    ) -> Iterator[pb.ReadArtifactResponse]:
        row = self._artifacts.get(call.identity.tenant, convert.read_name(request.name))
        offset, limit_bytes = convert.read_range(request, row.size_bytes)
        self._artifacts.used(call.identity.tenant, row)
        if not limit_bytes:  # one message all the same, as it tells the size
            yield convert.chunk(offset, b"", row.size_bytes)
            return
        for content in self._artifacts.chunks(row, offset, limit_bytes):
            yield convert.chunk(offset, content, row.size_bytes)
            offset += len(content)

    def list_artifacts(
        self, call: Call, request: pb.ListArtifactsRequest
    ) -> pb.ListArtifactsResponse:
        after, size = convert.read_page(request)
        rows = self._artifacts.page(call.identity.tenant, after, size + 1)
        token = convert.page_token(rows[size - 1]) if len(rows) > size else ""
        return pb.ListArtifactsResponse(
            artifacts=map(self._written, rows[:size]), next_page_token=token
        )

    def delete_artifact(
        self, call: Call, request: pb.DeleteArtifactRequest
    ) -> pb.DeleteArtifactResponse:
        name = convert.read_name(request.name)
        self._artifacts.delete(convert.asker(call, request), name)
        return pb.DeleteArtifactResponse()

    def _written(self, row: ArtifactRow) -> pb.Artifact:
        return convert.artifact(row, self._artifacts.policy.unused_us)
