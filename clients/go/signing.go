package ketgate

import (
	"context"
	"crypto/rand"
	"crypto/sha256"

	"google.golang.org/grpc/codes"

	signingv1 "ketgate.dev/clients/go/gen/ketgate/signing/v1"
)

// CreateKey makes a key with its first version. An empty request id is filled in, so that the retries of this call make
// one key.
func (c *Client) CreateKey(ctx context.Context, request *signingv1.CreateKeyRequest) (*signingv1.Key, error) {
	if request.GetRequestId() == "" {
		request.RequestId = rand.Text()
	}
	answer, err := c.KeyService.CreateKey(ctx, request)
	return answer.GetKey(), err
}

// Key returns a key, "keys/ID".
func (c *Client) Key(ctx context.Context, name string) (*signingv1.Key, error) {
	answer, err := c.KeyService.GetKey(ctx, &signingv1.GetKeyRequest{Name: name})
	return answer.GetKey(), err
}

// Keys lists the keys that the caller may read; filter: for example `algorithm = ML_DSA_65 AND labels.desk = "fx"`.
func (c *Client) Keys(ctx context.Context, filter string) ([]*signingv1.Key, error) {
	var keys []*signingv1.Key
	request := &signingv1.ListKeysRequest{Filter: filter}
	for {
		page, err := c.KeyService.ListKeys(ctx, request)
		if err != nil {
			return nil, err
		}
		keys = append(keys, page.GetKeys()...)
		if page.GetNextPageToken() == "" {
			return keys, nil
		}
		request.PageToken = page.GetNextPageToken()
	}
}

// RotateKey makes a new version of a key, which signs from now on; older ones still verify.
func (c *Client) RotateKey(ctx context.Context, name string) (*signingv1.KeyVersion, error) {
	answer, err := c.KeyService.RotateKey(ctx, &signingv1.RotateKeyRequest{Name: name, RequestId: rand.Text()})
	return answer.GetVersion(), err
}

// PublicKey exports the public key of a version, or of a key's primary one.
func (c *Client) PublicKey(ctx context.Context, name string, format signingv1.PublicKeyFormat) ([]byte, error) {
	return whole(func() ([]byte, uint32, error) {
		request := &signingv1.ExportPublicKeyRequest{Name: name, Format: format}
		answer, err := c.KeyService.ExportPublicKey(ctx, request)
		return answer.GetPublicKey(), answer.GetPublicKeyCrc32C(), err
	})
}

// Sign signs a message with the primary version of "keys/ID", or with "keys/ID/versions/N"; nil options: as the algorithm
// does by itself. The signature is over this very message: that is checked.
func (c *Client) Sign(
	ctx context.Context, key string, message []byte, options *signingv1.SigningOptions,
) (*signingv1.Signature, error) {
	ctx, cancel := bySigning(ctx)
	defer cancel()
	sum := checksum(message)
	request := &signingv1.SignRequest{
		Key: key, Message: message, MessageCrc32C: &sum, Options: options, RequestId: rand.Text(),
	}
	digest := sha256.Sum256(message)
	return undamaged(func() (*signingv1.Signature, error) {
		answer, err := c.Signing.Sign(ctx, request)
		if err != nil {
			return nil, err
		}
		return answer.GetSignature(), checkSignature(answer.GetSignature(), digest[:])
	})
}

// Verify tells whether a signature holds, by whichever usable version of the key. One that does not is an answer, not
// an error.
func (c *Client) Verify(
	ctx context.Context, key string, message, signature []byte, options *signingv1.SigningOptions,
) (*signingv1.Verdict, error) {
	ctx, cancel := bySigning(ctx)
	defer cancel()
	sum := checksum(message)
	answer, err := c.Signing.Verify(ctx, &signingv1.VerifyRequest{
		Signer:  &signingv1.VerifyRequest_Key{Key: key},
		Message: message, MessageCrc32C: &sum, Signature: signature, Options: options,
	})
	return answer.GetVerdict(), err
}

// SignBatch signs any number of messages on all cores of the server; the results are in their order. An item that cannot
// be signed has an error of its own, see [ItemError]; the error of the call is one of all that are left. The items get their
// checksums.
func (c *Client) SignBatch(
	ctx context.Context, key string, items []*signingv1.SignItem, options *signingv1.SigningOptions,
) ([]*signingv1.SignItemResult, error) {
	ctx, cancel := bySigning(ctx)
	defer cancel()
	results := make([]*signingv1.SignItemResult, 0, len(items))
	for _, item := range items {
		sum := checksum(item.GetMessage())
		item.MessageCrc32C = &sum
	}
	for part := range batches(items) {
		request := &signingv1.SignBatchRequest{Key: key, Items: part, Options: options, RequestId: rand.Text()}
		signed, err := undamaged(func() ([]*signingv1.SignItemResult, error) {
			answer, err := c.Signing.SignBatch(ctx, request)
			if err != nil {
				return nil, err
			}
			return answer.GetResults(), checkBatch(part, answer.GetResults())
		})
		if err != nil {
			return results, err
		}
		results = append(results, signed...)
	}
	return results, nil
}

// VerifyBatch verifies any number of signatures on all cores of the server; the results are in their order. The items
// get their checksums.
func (c *Client) VerifyBatch(
	ctx context.Context, key string, items []*signingv1.VerifyItem, options *signingv1.SigningOptions,
) ([]*signingv1.VerifyItemResult, error) {
	ctx, cancel := bySigning(ctx)
	defer cancel()
	results := make([]*signingv1.VerifyItemResult, 0, len(items))
	for _, item := range items {
		sum := checksum(item.GetMessage())
		item.MessageCrc32C = &sum
	}
	for part := range batches(items) {
		answer, err := c.Signing.VerifyBatch(ctx, &signingv1.VerifyBatchRequest{
			Signer: &signingv1.VerifyBatchRequest_Key{Key: key}, Items: part, Options: options,
		})
		if err != nil {
			return results, err
		}
		if len(answer.GetResults()) != len(part) {
			return results, damaged("results", "there are not as many as items")
		}
		results = append(results, answer.GetResults()...)
	}
	return results, nil
}

// Seal encrypts at most 1 MiB to a key; associated and info are bound to it, and are needed to open it.
func (c *Client) Seal(ctx context.Context, key string, plaintext, info, associated []byte) ([]byte, error) {
	sum := checksum(plaintext)
	return whole(func() ([]byte, uint32, error) {
		answer, err := c.Signing.Seal(ctx, &signingv1.SealRequest{
			Recipient: &signingv1.SealRequest_Key{Key: key},
			Plaintext: plaintext, PlaintextCrc32C: &sum, Info: info, AssociatedData: associated,
		})
		return answer.GetCiphertext(), answer.GetCiphertextCrc32C(), err
	})
}

// Unseal decrypts what was sealed to a key, by whichever of its versions.
func (c *Client) Unseal(ctx context.Context, key string, ciphertext, info, associated []byte) ([]byte, error) {
	sum := checksum(ciphertext)
	return whole(func() ([]byte, uint32, error) {
		answer, err := c.Signing.Open(ctx, &signingv1.OpenRequest{
			Key: key, Ciphertext: ciphertext, CiphertextCrc32C: &sum, Info: info, AssociatedData: associated,
		})
		return answer.GetPlaintext(), answer.GetPlaintextCrc32C(), err
	})
}

// ItemError is why an item of a batch was refused; nil where it was not. It compares as the errors of calls do.
func ItemError(told *signingv1.ItemError) error {
	if told == nil {
		return nil
	}
	reason := Reason(told.GetReason())
	return &Error{Code: codes.Unknown, Reason: reason, Message: told.GetMessage(), Remedy: remedies[reason]}
}
