package ketgate_test

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	ketgate "ketgate.dev/clients/go"
	signingv1 "ketgate.dev/clients/go/gen/ketgate/signing/v1"
)

const mlDsa44 = signingv1.Algorithm_ALGORITHM_ML_DSA_44

// created makes a key of a name of its own.
func created(t *testing.T, client *ketgate.Client, algorithm signingv1.Algorithm) *signingv1.Key {
	t.Helper()
	key, err := client.CreateKey(t.Context(), &signingv1.CreateKeyRequest{
		KeyId:     "go-" + strings.ToLower(rand.Text()),
		Algorithm: algorithm,
		Labels:    map[string]string{"made-by": "go"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestServerSignsAndVerifies(t *testing.T) {
	client := live(t)
	key := created(t, client, mlDsa44).GetName()
	message, options := []byte("an order"), &signingv1.SigningOptions{Context: []byte("orders")}
	signed, err := client.Sign(t.Context(), key, message, options)
	if err != nil {
		t.Fatal(err)
	}
	if signed.GetKeyVersion() != key+"/versions/1" || signed.GetStandard() != "FIPS 204" || signed.GetProvider() == "" {
		t.Errorf("the signature says %s, %s, %s", signed.GetKeyVersion(), signed.GetStandard(), signed.GetProvider())
	}
	if _, err := client.RotateKey(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	for _, tried := range []struct {
		message string
		options *signingv1.SigningOptions
		valid   bool
	}{{"an order", options, true}, {"an order", nil, false}, {"another", options, false}} {
		verdict, err := client.Verify(t.Context(), key, []byte(tried.message), signed.GetSignature(), tried.options)
		if err != nil {
			t.Fatal(err)
		}
		if verdict.GetValid() != tried.valid {
			t.Errorf("%q with %v: %v", tried.message, tried.options, verdict)
		}
	}
}

func TestServerListsKeysAndExportsThem(t *testing.T) {
	client := live(t)
	key := created(t, client, mlDsa44)
	keys, err := client.Keys(t.Context(), `algorithm = ML_DSA_44 AND labels.made-by = "go"`)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(keys, func(k *signingv1.Key) bool { return k.GetUid() == key.GetUid() }) {
		t.Errorf("%s is not among %d keys", key.GetName(), len(keys))
	}
	again, err := client.Key(t.Context(), key.GetName())
	if err != nil || again.GetEtag() != key.GetEtag() {
		t.Errorf("read again: %v, %v", again, err)
	}
	pem, err := client.PublicKey(t.Context(), key.GetName(), signingv1.PublicKeyFormat_PUBLIC_KEY_FORMAT_SPKI_PEM)
	if err != nil || !bytes.HasPrefix(pem, []byte("-----BEGIN PUBLIC KEY-----")) {
		t.Errorf("exported %q, %v", pem, err)
	}
}

func TestServerSignsBatches(t *testing.T) {
	client := live(t)
	key := created(t, client, mlDsa44).GetName()
	items := make([]*signingv1.SignItem, 1002) // more than one call takes
	for i := range items {
		items[i] = &signingv1.SignItem{Reference: fmt.Sprint(i), Message: fmt.Appendf(nil, "order %d", i)}
	}
	items[1].Context = make([]byte, 256)
	signed, err := client.SignBatch(t.Context(), key, items, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := ketgate.ItemError(signed[1].GetError()); !errors.Is(err, ketgate.ErrFieldInvalid) {
		t.Errorf("the context of 256 bytes: %v", err)
	}
	verifying := make([]*signingv1.VerifyItem, len(items))
	for i, result := range signed {
		if result.GetReference() != items[i].GetReference() {
			t.Fatalf("result %d is of item %s", i, result.GetReference())
		}
		verifying[i] = &signingv1.VerifyItem{
			Reference: result.GetReference(), Message: items[i].GetMessage(), Signature: result.GetSignature().GetSignature(),
		}
	}
	verifying[7].Message = []byte("order 8")
	verdicts, err := client.VerifyBatch(t.Context(), key, verifying, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i, result := range verdicts {
		if valid := result.GetVerdict().GetValid(); valid == (i == 1 || i == 7) {
			t.Errorf("item %d: %v", i, result)
		}
	}
}

func TestServerSignsWhatIsRead(t *testing.T) {
	client := live(t)
	key := created(t, client, mlDsa44).GetName()
	content := make([]byte, 3<<20)
	rand.Read(content)
	signed, err := client.SignReader(t.Context(), key, bytes.NewReader(content), nil)
	if err != nil {
		t.Fatal(err)
	}
	digest := sha256.Sum256(content)
	if !bytes.Equal(signed.GetContentSha256(), digest[:]) {
		t.Error("the digest is another")
	}
	whole, err := client.Verify(t.Context(), key, content, signed.GetSignature(), nil)
	if err != nil || !whole.GetValid() {
		t.Errorf("of the whole: %v, %v", whole, err)
	}
	read, err := client.VerifyReader(t.Context(), key, bytes.NewReader(content), signed.GetSignature(), nil)
	if err != nil || !read.GetValid() {
		t.Errorf("of what was read: %v, %v", read, err)
	}
	content[0] ^= 1
	read, err = client.VerifyReader(t.Context(), key, bytes.NewReader(content), signed.GetSignature(), nil)
	if err != nil || read.GetValid() {
		t.Errorf("of another: %v, %v", read, err)
	}
	if _, err := client.SignReader(t.Context(), "keys/nowhere", bytes.NewReader(content), nil); !errors.Is(
		err, ketgate.ErrResourceNotFound) {
		t.Errorf("of a key that is not there: %v", err)
	}
}

func TestServerSealsAndOpens(t *testing.T) {
	client := live(t)
	key := created(t, client, signingv1.Algorithm_ALGORITHM_HPKE_MLKEM768_X25519).GetName()
	sealed, err := client.Seal(t.Context(), key, []byte("a secret"), []byte("payroll"), nil)
	if err != nil {
		t.Fatal(err)
	}
	opened, err := client.Unseal(t.Context(), key, sealed, []byte("payroll"), nil)
	if err != nil || string(opened) != "a secret" {
		t.Errorf("opened %q, %v", opened, err)
	}
	if _, err = client.Unseal(t.Context(), key, sealed, nil, nil); !errors.Is(err, ketgate.ErrCiphertextInvalid) {
		t.Errorf("with another info: %v", err)
	}
}
