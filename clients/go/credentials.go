package ketgate

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
)

// bearer sends the token with every call.
type bearer struct {
	header    string
	plaintext bool
}

func newBearer(token string, plaintext bool) bearer {
	return bearer{header: "Bearer " + token, plaintext: plaintext}
}

func (b bearer) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": b.header}, nil
}

// RequireTransportSecurity makes grpc-go refuse to send the token in plaintext; resolve has let plaintext through only
// for a loopback address.
func (b bearer) RequireTransportSecurity() bool { return !b.plaintext }

// transport is how the connection is secured.
func (s *settings) transport() (credentials.TransportCredentials, error) {
	if s.insecure {
		return insecure.NewCredentials(), nil
	}
	if s.tlsConfig != nil {
		return credentials.NewTLS(s.tlsConfig), nil
	}
	// CurvePreferences stay unset: crypto/tls then offers X25519MLKEM768 before the classical curves.
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if s.caFile != "" {
		pem, err := os.ReadFile(s.caFile)
		if err != nil {
			return nil, fmt.Errorf("ketgate: the CA file cannot be read: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("ketgate: %s holds no PEM certificate", s.caFile)
		}
	}
	return credentials.NewTLS(config), nil
}
