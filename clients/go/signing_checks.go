package ketgate

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"hash/crc32"
	"iter"
	"time"

	"google.golang.org/grpc/codes"

	signingv1 "ketgate.dev/clients/go/gen/ketgate/signing/v1"
)

const (
	// One call of a batch has at most so many items and bytes: the server takes more, and answers later.
	batchItems = 1000
	batchBytes = 8 << 20
	// Slow algorithms, large batches and large files take more than the usual time.
	signingLimit = 10 * time.Minute
	// An answer that was damaged on its way is asked for so often in all.
	damagedAttempts = 3
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func checksum(content []byte) uint32 { return crc32.Checksum(content, castagnoli) }

// damaged is the error of an answer that is not what the server sent.
func damaged(field, message string) error {
	return &Error{
		Code: codes.DataLoss, Reason: ErrDigestMismatch.Reason, Field: field, Message: field + ": " + message,
		Remedy: "Call again; if that does not help, look at what lies between client and server.",
	}
}

func isDamaged(err error) bool { return errors.Is(err, ErrDigestMismatch) }

// bySigning gives a call that may take long the deadline for it, unless the caller has set one.
func bySigning(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, has := ctx.Deadline(); has {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, signingLimit)
}

// checkSignature tells whether a signature came whole, and is over what was sent.
func checkSignature(signature *signingv1.Signature, digest []byte) error {
	if checksum(signature.GetSignature()) != signature.GetSignatureCrc32C() {
		return damaged("signature", "it does not have the checksum that came with it")
	}
	if !bytes.Equal(signature.GetContentSha256(), digest) {
		return damaged("content_sha256", "the server signed something else than was sent")
	}
	return nil
}

func checkBatch(items []*signingv1.SignItem, results []*signingv1.SignItemResult) error {
	if len(results) != len(items) {
		return damaged("results", "there are not as many as items")
	}
	for i, result := range results {
		if result.GetError() != nil {
			continue
		}
		digest := sha256.Sum256(items[i].GetMessage())
		if err := checkSignature(result.GetSignature(), digest[:]); err != nil {
			return err
		}
	}
	return nil
}

// batches splits items into calls that the server answers soon.
func batches[Item interface{ GetMessage() []byte }](items []Item) iter.Seq[[]Item] {
	return func(yield func([]Item) bool) {
		begin, size := 0, 0
		for i, item := range items {
			itemBytes := contentBytes(item)
			if i > begin && (i-begin == batchItems || size+itemBytes > batchBytes) {
				if !yield(items[begin:i]) {
					return
				}
				begin, size = i, 0
			}
			size += itemBytes
		}
		if begin < len(items) {
			yield(items[begin:])
		}
	}
}

// contentBytes is what an item carries: one to verify has a signature too, and that of a JWS has the message in it.
func contentBytes(item interface{ GetMessage() []byte }) int {
	size := len(item.GetMessage())
	if signed, has := item.(interface{ GetSignature() []byte }); has {
		size += len(signed.GetSignature())
	}
	return size
}

// whole asks again for content that was damaged on its way.
func whole(ask func() ([]byte, uint32, error)) ([]byte, error) {
	return undamaged(func() ([]byte, error) {
		content, sum, err := ask()
		if err == nil && checksum(content) != sum {
			return nil, damaged("answer", "it does not have the checksum that came with it")
		}
		return content, err
	})
}

// undamaged repeats a call whose answer was damaged; whatever signs has a request id, and so signs once.
func undamaged[Answer any](call func() (Answer, error)) (answer Answer, err error) {
	for range damagedAttempts {
		if answer, err = call(); !isDamaged(err) {
			break
		}
	}
	return answer, err
}
