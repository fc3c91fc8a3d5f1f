package ketgate

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"testing"

	signingv1 "ketgate.dev/clients/go/gen/ketgate/signing/v1"
)

// flakySigner signs by "signed:" and the message, and damages its first answers.
type flakySigner struct {
	signingv1.UnimplementedSigningServiceServer
	damage func(*signingv1.Signature)
	left   int
	ids    []string
}

func (f *flakySigner) Sign(_ context.Context, r *signingv1.SignRequest) (*signingv1.SignResponse, error) {
	f.ids = append(f.ids, r.GetRequestId())
	if r.GetMessageCrc32C() != checksum(r.GetMessage()) {
		return nil, errors.New("the checksum of the message is wrong")
	}
	digest, signed := sha256.Sum256(r.GetMessage()), append([]byte("signed:"), r.GetMessage()...)
	made := &signingv1.Signature{Signature: signed, SignatureCrc32C: checksum(signed), ContentSha256: digest[:]}
	if f.left > 0 {
		f.left--
		f.damage(made)
	}
	return &signingv1.SignResponse{Signature: made}, nil
}

func TestAnAnswerThatWasDamagedIsAskedForAgain(t *testing.T) {
	for name, damage := range map[string]func(*signingv1.Signature){
		"signature": func(s *signingv1.Signature) { s.Signature = append([]byte("x"), s.Signature[1:]...) },
		"content":   func(s *signingv1.Signature) { s.ContentSha256 = make([]byte, 32) },
	} {
		signer := &flakySigner{damage: damage, left: 2}
		client, _ := connected(t, &fakeServer{signer: signer})
		signed, err := client.Sign(t.Context(), "keys/desk", []byte("order"), nil)
		if err != nil || !bytes.Equal(signed.GetSignature(), []byte("signed:order")) {
			t.Errorf("%s: %v, %v", name, signed, err)
		}
		if len(signer.ids) != 3 || signer.ids[0] != signer.ids[2] || signer.ids[0] == "" {
			t.Errorf("%s: the request ids are %q", name, signer.ids)
		}
		signer.left = 9
		if _, err = client.Sign(t.Context(), "keys/desk", []byte("order"), nil); !errors.Is(err, ErrDigestMismatch) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestBatchesAreSplitByItemsAndBytes(t *testing.T) {
	sizes := func(bytes ...int) (found []int) {
		items := make([]*signingv1.SignItem, len(bytes))
		for i, size := range bytes {
			items[i] = &signingv1.SignItem{Message: make([]byte, size)}
		}
		for part := range batches(items) {
			found = append(found, len(part))
		}
		return found
	}
	for _, tried := range []struct{ given, want []int }{
		{nil, nil},
		{make([]int, batchItems), []int{batchItems}},
		{make([]int, 2*batchItems+1), []int{batchItems, batchItems, 1}},
		{[]int{batchBytes, 1, batchBytes - 1, 1}, []int{1, 2, 1}},
		{[]int{2 * batchBytes, 2 * batchBytes}, []int{1, 1}},
	} {
		if got := sizes(tried.given...); len(got) != len(tried.want) {
			t.Errorf("%d items: %v, not %v", len(tried.given), got, tried.want)
		} else {
			for i := range got {
				if got[i] != tried.want[i] {
					t.Errorf("%d items: %v, not %v", len(tried.given), got, tried.want)
				}
			}
		}
	}
}

func TestBatchesToVerifyAreSplitByTheirSignaturesAsWell(t *testing.T) {
	large := &signingv1.VerifyItem{Message: []byte("order"), Signature: make([]byte, batchBytes/2)}
	calls := 0
	for part := range batches([]*signingv1.VerifyItem{large, large, large}) {
		calls++
		if len(part) != 1 {
			t.Errorf("%d signatures of %d bytes in one call", len(part), batchBytes/2)
		}
	}
	if calls != 3 {
		t.Errorf("%d calls", calls)
	}
}
