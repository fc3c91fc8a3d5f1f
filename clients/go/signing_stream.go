package ketgate

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"hash/crc32"
	"io"

	"google.golang.org/grpc"

	signingv1 "ketgate.dev/clients/go/gen/ketgate/signing/v1"
)

// Pieces of a message that is sent as a stream; the server takes up to 1 MiB.
const chunkBytes = 256 << 10

// SignReader signs a message of any size, to the reader's end: the signature is that of the whole message. For ML-DSA,
// ECDSA and composites, and whatever takes a prehash. It is not repeated by itself, as a reader is read once.
func (c *Client) SignReader(
	ctx context.Context, key string, message io.Reader, options *signingv1.SigningOptions,
) (*signingv1.Signature, error) {
	ctx, cancel := bySigning(ctx)
	defer cancel()
	stream, err := c.Signing.SignStream(ctx)
	if err != nil {
		return nil, err
	}
	start := &signingv1.SignRequest{Key: key, Options: options, RequestId: rand.Text()}
	first := &signingv1.SignStreamRequest{Part: &signingv1.SignStreamRequest_Start{Start: start}}
	digest, err := send(stream, message, first,
		func(chunk []byte) *signingv1.SignStreamRequest {
			return &signingv1.SignStreamRequest{Part: &signingv1.SignStreamRequest_Chunk{Chunk: chunk}}
		},
		func(sum uint32) *signingv1.SignStreamRequest {
			return &signingv1.SignStreamRequest{Part: &signingv1.SignStreamRequest_MessageCrc32C{MessageCrc32C: sum}}
		})
	if err != nil {
		return nil, err
	}
	answer, err := stream.CloseAndRecv()
	if err != nil {
		return nil, newError(err)
	}
	return answer.GetSignature(), checkSignature(answer.GetSignature(), digest)
}

// VerifyReader tells whether the signature of a message that is read to its end holds.
func (c *Client) VerifyReader(
	ctx context.Context, key string, message io.Reader, signature []byte, options *signingv1.SigningOptions,
) (*signingv1.Verdict, error) {
	ctx, cancel := bySigning(ctx)
	defer cancel()
	stream, err := c.Signing.VerifyStream(ctx)
	if err != nil {
		return nil, err
	}
	start := &signingv1.VerifyRequest{
		Signer: &signingv1.VerifyRequest_Key{Key: key}, Signature: signature, Options: options,
	}
	first := &signingv1.VerifyStreamRequest{Part: &signingv1.VerifyStreamRequest_Start{Start: start}}
	_, err = send(stream, message, first,
		func(chunk []byte) *signingv1.VerifyStreamRequest {
			return &signingv1.VerifyStreamRequest{Part: &signingv1.VerifyStreamRequest_Chunk{Chunk: chunk}}
		},
		func(sum uint32) *signingv1.VerifyStreamRequest {
			return &signingv1.VerifyStreamRequest{Part: &signingv1.VerifyStreamRequest_MessageCrc32C{MessageCrc32C: sum}}
		})
	if err != nil {
		return nil, err
	}
	answer, err := stream.CloseAndRecv()
	return answer.GetVerdict(), newError(err)
}

// send sends what is to be done, the message in pieces and its checksum; it returns the message's digest. A server that
// has refused ends the sending early: the answer tells why.
func send[Request, Response any](
	stream grpc.ClientStreamingClient[Request, Response], message io.Reader, first *Request,
	piece func([]byte) *Request, last func(uint32) *Request,
) ([]byte, error) {
	if err := stream.Send(first); err != nil {
		return nil, ended(err)
	}
	digest, sum := sha256.New(), uint32(0)
	for {
		chunk := make([]byte, chunkBytes) // a sent one may be in use still
		size, err := io.ReadFull(message, chunk)
		if size > 0 {
			chunk = chunk[:size]
			digest.Write(chunk)
			sum = crc32.Update(sum, castagnoli, chunk)
			if failed := stream.Send(piece(chunk)); failed != nil {
				return digest.Sum(nil), ended(failed)
			}
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return digest.Sum(nil), ended(stream.Send(last(sum)))
		}
		if err != nil {
			return nil, err // of the reader
		}
	}
}

// ended is nil where the server ended the stream: what it says comes with the answer.
func ended(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}
