package ketgate

import (
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"google.golang.org/grpc"
)

// Option changes how [Connect] connects. What no option tells is taken from the environment (KETGATE_ADDRESS,
// KETGATE_CA_FILE, KETGATE_TOKEN, KETGATE_TOKEN_FILE, KETGATE_READY_FILE, KETGATE_INSECURE), then from the ready file of
// a local server ($KETGATE_DATA_DIR, $XDG_DATA_HOME/ketgate or ~/.local/share/ketgate, and there ready.json).
type Option func(*settings)

type settings struct {
	address     string
	caFile      string
	token       string
	tokenFile   string
	readyFile   string
	tlsConfig   *tls.Config
	insecure    bool
	timeout     time.Duration
	attempts    int
	dialOptions []grpc.DialOption
}

const (
	defaultTimeout  = 60 * time.Second
	defaultAttempts = 4
)

// WithAddress sets the server's address, "host:port".
func WithAddress(address string) Option { return func(s *settings) { s.address = address } }

// WithCAFile names the PEM file of the certificate authority that the server's certificate must come from. Without one,
// and without a ready file, the system's authorities are trusted.
func WithCAFile(path string) Option { return func(s *settings) { s.caFile = path } }

// WithToken sets the token that is sent with every call.
func WithToken(token string) Option { return func(s *settings) { s.token = token } }

// WithTokenFile names a file that holds the token.
func WithTokenFile(path string) Option { return func(s *settings) { s.tokenFile = path } }

// WithReadyFile names the file that `ketgate serve` writes when it serves: address, CA and token file.
func WithReadyFile(path string) Option { return func(s *settings) { s.readyFile = path } }

// WithTLSConfig replaces the TLS settings, for example to present a client certificate. The default ones trust the CA
// file and offer the hybrid post-quantum key exchange X25519MLKEM768 first, as crypto/tls does by itself.
func WithTLSConfig(config *tls.Config) Option { return func(s *settings) { s.tlsConfig = config } }

// WithInsecure speaks plaintext. Only a loopback address is taken, as the token could be read on the way.
func WithInsecure() Option { return func(s *settings) { s.insecure = true } }

// WithTimeout sets the deadline of calls whose context has none; default one minute. A solve gets its own time limit
// and ten seconds more. Zero: no default deadline.
func WithTimeout(timeout time.Duration) Option { return func(s *settings) { s.timeout = timeout } }

// WithAttempts sets how often a call is made at most while the server is busy or away; default 4. 1: no retries.
func WithAttempts(attempts int) Option { return func(s *settings) { s.attempts = attempts } }

// WithDialOptions adds options of grpc-go: interceptors, a dialer, statistics.
func WithDialOptions(options ...grpc.DialOption) Option {
	return func(s *settings) { s.dialOptions = append(s.dialOptions, options...) }
}

// resolve fills what the options left open, and reads the token.
func resolve(options []Option) (*settings, error) {
	s := &settings{timeout: defaultTimeout, attempts: defaultAttempts}
	for _, option := range options {
		option(s)
	}
	s.fromEnvironment()
	if s.address == "" {
		if err := s.fromReadyFile(); err != nil {
			return nil, err
		}
	}
	if s.insecure && !loopback(s.address) {
		return nil, fmt.Errorf("ketgate: %s is not a loopback address: plaintext would show the token to others; "+
			"leave out WithInsecure and name the server's CA with WithCAFile", s.address)
	}
	if s.token == "" && s.tokenFile != "" {
		text, err := os.ReadFile(s.tokenFile)
		if err != nil {
			return nil, fmt.Errorf("ketgate: the token file cannot be read: %w", err)
		}
		s.token = strings.TrimSpace(string(text))
	}
	if err := checkAddress(s.address); err != nil {
		return nil, err
	}
	if s.attempts < 1 {
		return nil, fmt.Errorf("ketgate: WithAttempts takes at least 1, not %d", s.attempts)
	}
	return s, nil
}

func (s *settings) fromEnvironment() {
	// A ready file that the program names tells address, CA and token together: the environment must not mix in others.
	if s.readyFile != "" {
		return
	}
	if s.address == "" {
		s.address = os.Getenv("KETGATE_ADDRESS")
	}
	if s.caFile == "" {
		s.caFile = os.Getenv("KETGATE_CA_FILE")
	}
	if s.token == "" && s.tokenFile == "" {
		s.token, s.tokenFile = os.Getenv("KETGATE_TOKEN"), os.Getenv("KETGATE_TOKEN_FILE")
	}
	s.readyFile = os.Getenv("KETGATE_READY_FILE")
	switch strings.ToLower(os.Getenv("KETGATE_INSECURE")) {
	case "1", "true", "yes", "on":
		s.insecure = true
	}
}

// fromReadyFile takes what is still open from the ready file.
func (s *settings) fromReadyFile() error {
	path := s.readyFile
	if path == "" {
		path = defaultReadyFile()
	}
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("ketgate: no server was named and none has written %s; start one with `ketgate serve`, "+
			"or set KETGATE_ADDRESS: %w", path, err)
	}
	if err != nil {
		return fmt.Errorf("ketgate: the ready file cannot be read: %w", err)
	}
	var ready struct {
		Address   string `json:"address"`
		CAFile    string `json:"ca_file"`
		TokenFile string `json:"token_file"`
	}
	if err := json.Unmarshal(text, &ready); err != nil {
		return fmt.Errorf("ketgate: %s is no ready file: %w", path, err)
	}
	if ready.Address == "" {
		return fmt.Errorf("ketgate: %s is no ready file: it has no address", path)
	}
	s.address = ready.Address
	if s.caFile == "" {
		s.caFile = ready.CAFile
	}
	if ready.CAFile == "" && !s.insecure && s.tlsConfig == nil {
		return fmt.Errorf("ketgate: the server of %s speaks plaintext: pass WithInsecure, or start it with TLS", path)
	}
	if s.token == "" && s.tokenFile == "" {
		s.tokenFile = ready.TokenFile
	}
	return nil
}

// defaultReadyFile is where `ketgate serve` puts it when nobody says otherwise.
func defaultReadyFile() string {
	folder := os.Getenv("KETGATE_DATA_DIR")
	if folder == "" {
		share := os.Getenv("XDG_DATA_HOME")
		if share == "" {
			home, err := os.UserHomeDir()
			if err != nil {
				home = "."
			}
			share = filepath.Join(home, ".local", "share")
		}
		folder = filepath.Join(share, "ketgate")
	}
	return filepath.Join(folder, "ready.json")
}

// checkAddress refuses an address without a port, for which grpc-go would take 443, and that of a web page.
func checkAddress(address string) error {
	if scheme, _, found := strings.Cut(address, "://"); found {
		switch scheme {
		case "https", "http", "grpcs", "grpc":
			return fmt.Errorf("ketgate: the address is host:port, not %s: leave out %s://", address, scheme)
		}
		return nil // one of grpc-go's own, as dns:///host:port
	}
	if strings.HasPrefix(address, "unix:") || strings.HasPrefix(address, "passthrough:") {
		return nil
	}
	if _, port, err := net.SplitHostPort(address); err != nil || port == "" {
		return fmt.Errorf("ketgate: the address is host:port, not %q", address)
	}
	return nil
}

// loopback tells whether what is sent to the address stays on this machine.
func loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		host = address
	}
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}
