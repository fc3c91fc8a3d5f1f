package ketgate

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// alone takes away what the environment of the tests may tell of a server.
func alone(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"ADDRESS", "CA_FILE", "TOKEN", "TOKEN_FILE", "READY_FILE", "INSECURE"} {
		t.Setenv("KETGATE_"+name, "")
	}
	folder := t.TempDir()
	t.Setenv("KETGATE_DATA_DIR", folder)
	return folder
}

func write(t *testing.T, path, text string) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestTheReadyFileTellsEverything(t *testing.T) {
	folder := alone(t)
	token := write(t, filepath.Join(folder, "token"), "kg_secret\n")
	write(t, filepath.Join(folder, "ready.json"),
		`{"address": "127.0.0.1:5", "ca_file": "/ca.pem", "token_file": "`+token+`", "pid": 1}`)
	s, err := resolve(nil)
	if err != nil || s.address != "127.0.0.1:5" || s.caFile != "/ca.pem" || s.token != "kg_secret" {
		t.Errorf("%+v, %v", s, err)
	}
}

func TestOptionsGoBeforeTheEnvironment(t *testing.T) {
	alone(t)
	t.Setenv("KETGATE_ADDRESS", "there:1")
	t.Setenv("KETGATE_TOKEN", "theirs")
	s, err := resolve([]Option{WithAddress("here:2")})
	if err != nil || s.address != "here:2" || s.token != "theirs" {
		t.Errorf("%+v, %v", s, err)
	}
}

func TestANamedReadyFileIsNotMixedWithTheEnvironment(t *testing.T) {
	folder := alone(t)
	t.Setenv("KETGATE_ADDRESS", "there:1")
	t.Setenv("KETGATE_TOKEN", "theirs")
	ready := write(t, filepath.Join(folder, "other.json"), `{"address": "127.0.0.1:5", "ca_file": "/ca.pem"}`)
	s, err := resolve([]Option{WithReadyFile(ready)})
	if err != nil || s.address != "127.0.0.1:5" || s.token != "" {
		t.Errorf("%+v, %v", s, err)
	}
}

func TestWhatIsMissingIsSaid(t *testing.T) {
	folder := alone(t)
	if _, err := resolve(nil); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "ketgate serve") {
		t.Errorf("no server: %v", err)
	}
	broken := write(t, filepath.Join(folder, "broken.json"), `{"address": 7}`)
	empty := write(t, filepath.Join(folder, "empty.json"), `{}`)
	plain := write(t, filepath.Join(folder, "plain.json"), `{"address": "127.0.0.1:5"}`)
	for name, options := range map[string][]Option{
		"plaintext":     {WithReadyFile(plain)},
		"no JSON":       {WithReadyFile(broken)},
		"no address":    {WithReadyFile(empty)},
		"no token file": {WithAddress("x:1"), WithTokenFile(filepath.Join(folder, "none"))},
		"no attempts":   {WithAddress("x:1"), WithAttempts(0)},
	} {
		if s, err := resolve(options); err == nil {
			t.Errorf("%s: %+v", name, s)
		}
	}
}

func TestAnAddressHasAPort(t *testing.T) {
	alone(t)
	for address, allowed := range map[string]bool{
		"host:1": true, "[::1]:1": true, "dns:///host:1": true, "unix:/tmp/socket": true, "unix:///tmp/socket": true,
		"host": false, "host:": false, "https://host:1": false, "::1": false,
	} {
		if _, err := resolve([]Option{WithAddress(address)}); (err == nil) != allowed {
			t.Errorf("%s: %v", address, err)
		}
	}
}

func TestPlaintextIsForLoopbackOnly(t *testing.T) {
	alone(t)
	for address, allowed := range map[string]bool{
		"127.0.0.1:1": true, "localhost:1": true, "[::1]:1": true, "127.8.8.8:1": true,
		"10.0.0.1:1": false, "example.com:1": false, "localhost.example.com:1": false, "0.0.0.0:1": false,
	} {
		if _, err := resolve([]Option{WithAddress(address), WithInsecure()}); (err == nil) != allowed {
			t.Errorf("%s: %v", address, err)
		}
	}
}

func TestAPlaintextServerIsTakenWhenAskedFor(t *testing.T) {
	folder := alone(t)
	write(t, filepath.Join(folder, "ready.json"), `{"address": "127.0.0.1:5", "ca_file": null}`)
	if s, err := resolve([]Option{WithInsecure()}); err != nil || !s.insecure {
		t.Errorf("%+v, %v", s, err)
	}
	t.Setenv("KETGATE_INSECURE", "1")
	if s, err := resolve(nil); err != nil || !s.insecure {
		t.Errorf("%+v, %v", s, err)
	}
}

func TestTheTokenNeedsTransportSecurity(t *testing.T) {
	if !newBearer("secret", false).RequireTransportSecurity() {
		t.Error("grpc-go would send the token in plaintext")
	}
}

func TestAWrongCAFileIsSaid(t *testing.T) {
	folder := alone(t)
	none := filepath.Join(folder, "none.pem")
	text := write(t, filepath.Join(folder, "text.pem"), "no certificate")
	for _, path := range []string{none, text} {
		if _, err := Connect(context.Background(), WithAddress("127.0.0.1:1"), WithCAFile(path)); err == nil ||
			!strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func TestConnectTellsWhatIsWrong(t *testing.T) {
	alone(t)
	server := serving(t, &fakeServer{})
	here := []Option{WithAddress("127.0.0.1:1"), WithInsecure(), WithAttempts(1)}
	for name, c := range map[string]struct {
		options []Option
		want    error
	}{
		"wrong token":     {[]Option{server, WithToken("wrong")}, ErrTokenInvalid},
		"nobody listens":  {nil, ErrUnavailable}, // on port 1
		"no token at all": {[]Option{server}, ErrTokenInvalid},
	} {
		client, err := Connect(t.Context(), append(here, c.options...)...)
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
		if client != nil {
			t.Errorf("%s: a client that cannot work was returned", name)
		}
		var failure *Error
		if errors.As(err, &failure) && failure.Remedy == "" {
			t.Errorf("%s: %v says not what to do", name, err)
		}
	}
}
