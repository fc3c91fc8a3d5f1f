package ketgate_test

import (
	"context"
	"crypto/tls"
	"errors"
	"math"
	"os"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"

	ketgate "ketgate.dev/clients/go"
	optimizationv1 "ketgate.dev/clients/go/gen/ketgate/optimization/v1"
	serverv1 "ketgate.dev/clients/go/gen/ketgate/server/v1"
)

// readyFile names the real server that these tests speak to.
func readyFile(t *testing.T) string {
	t.Helper()
	path := os.Getenv("KETGATE_READY_FILE")
	if path == "" {
		t.Skip("KETGATE_READY_FILE names no server to test against")
	}
	return path
}

func live(t *testing.T, options ...ketgate.Option) *ketgate.Client {
	t.Helper()
	client, err := ketgate.ConnectReady(t.Context(), readyFile(t), options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	return client
}

func TestServerTellsWhatItIs(t *testing.T) {
	told, err := live(t).Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if told.GetVersion() == "" || len(told.GetLimits()) == 0 || told.GetTenant() == "" {
		t.Errorf("the server tells %v", told)
	}
}

func TestServerAgreesOnAPostQuantumKeyExchange(t *testing.T) {
	client := live(t)
	var far peer.Peer
	if _, err := client.Server.GetServerInfo(t.Context(), &serverv1.GetServerInfoRequest{}, grpc.Peer(&far)); err != nil {
		t.Fatal(err)
	}
	connection, ok := far.AuthInfo.(credentials.TLSInfo)
	if !ok {
		t.Skip("the server speaks plaintext")
	}
	if connection.State.Version != tls.VersionTLS13 || connection.State.CurveID != tls.X25519MLKEM768 {
		t.Errorf("TLS %x with %v, expected TLS 1.3 with X25519MLKEM768", connection.State.Version, connection.State.CurveID)
	}
}

func TestServerRefusesAWrongToken(t *testing.T) {
	_, err := ketgate.ConnectReady(t.Context(), readyFile(t), ketgate.WithToken("kg_wrong"))
	var refused *ketgate.Error
	if !errors.Is(err, ketgate.ErrTokenInvalid) || !errors.As(err, &refused) || refused.RequestID == "" {
		t.Errorf("got %v", err)
	}
}

func TestServerNamesTheFieldAtFault(t *testing.T) {
	spec := ketgate.Qubo([]float64{1, 2}, []ketgate.Term{{I: 0, J: 5, Value: 1}}, time.Second)
	_, err := live(t).Solve(t.Context(), spec)
	var refused *ketgate.Error
	if !errors.As(err, &refused) || !errors.Is(err, ketgate.ErrFieldInvalid) {
		t.Fatalf("got %v", err)
	}
	if refused.Field == "" || refused.RequestID == "" || len(refused.Violations) == 0 {
		t.Errorf("read as %+v", refused)
	}
}

// x0 + x1 - 2 x2 - 3 x0 x1 over binaries is least, -3, with every binary 1.
func TestServerSolvesAQubo(t *testing.T) {
	spec := ketgate.Qubo([]float64{1, 1, -2}, []ketgate.Term{{I: 0, J: 1, Value: -3}}, time.Second)
	spec.WorkLimit = 100
	result, err := live(t).Solve(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	binaries, err := ketgate.ToInt64s(result.GetSolutions()[0].GetValues())
	if err != nil || len(binaries) != 3 || binaries[0] != 1 || binaries[1] != 1 || binaries[2] != 1 {
		t.Errorf("got %v, %v", binaries, err)
	}
	if result.GetObjective() != -3 {
		t.Errorf("objective %v", result.GetObjective())
	}
}

// Two spins that want to be alike, in a field that points down: both down.
func TestServerSolvesAnIsing(t *testing.T) {
	spec := ketgate.Ising([]float64{0.5, 0}, []ketgate.Term{{I: 1, J: 0, Value: -1}}, time.Second)
	spec.WorkLimit = 100
	result, err := live(t).Solve(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	spins, err := ketgate.ToInt64s(result.GetSolutions()[0].GetValues())
	if err != nil || len(spins) != 2 || spins[0] != -1 || spins[1] != -1 || result.GetObjective() != -1.5 {
		t.Errorf("got %v with objective %v, %v", spins, result.GetObjective(), err)
	}
}

// Two uncorrelated names with variances 0.04 and 0.01: the weights are as 1 to 4.
func twoNames(t *testing.T) *optimizationv1.SolveSpec {
	t.Helper()
	covariance, err := ketgate.Matrix([][]float64{{0.04, 0}, {0, 0.01}})
	if err != nil {
		t.Fatal(err)
	}
	return ketgate.Portfolio(&optimizationv1.PortfolioProblem{
		Model: &optimizationv1.PortfolioProblem_Moments{Moments: &optimizationv1.Moments{Covariance: covariance}},
		Objective: &optimizationv1.PortfolioObjective{
			Kind: &optimizationv1.PortfolioObjective_MinimumVariance{MinimumVariance: &optimizationv1.MinimumVariance{}}},
	}, 2*time.Second)
}

func TestServerStreamsAPortfolio(t *testing.T) {
	var result *optimizationv1.SolveResult
	for event, err := range live(t).SolveStream(t.Context(), twoNames(t)) {
		if err != nil {
			t.Fatal(err)
		}
		if result != nil {
			t.Fatal("an event after the result")
		}
		result = event.GetResult()
	}
	if result.GetStatus() != optimizationv1.SolveStatus_SOLVE_STATUS_OPTIMAL {
		t.Fatalf("status %v", result.GetStatus())
	}
	weights, err := ketgate.ToFloat64s(result.GetSolutions()[0].GetValues())
	if err != nil || len(weights) != 2 || math.Abs(weights[0]-0.2) > 1e-9 || math.Abs(weights[1]-0.8) > 1e-9 {
		t.Errorf("weights %v, %v", weights, err)
	}
}

func TestServerEstimatesWithoutSolving(t *testing.T) {
	estimate, err := live(t).Estimate(t.Context(), twoNames(t))
	if err != nil || estimate.GetNumVariables() != 2 || len(estimate.GetSolvers()) == 0 {
		t.Errorf("got %v, %v", estimate, err)
	}
}

func TestServerListsItsSolvers(t *testing.T) {
	solvers, err := live(t).Solvers(t.Context())
	if err != nil || len(solvers) == 0 {
		t.Errorf("got %v, %v", solvers, err)
	}
}

func TestACancelledStreamEndsAtOnce(t *testing.T) {
	fields := make([]float64, 400)
	var couplings []ketgate.Term
	for i := range fields {
		fields[i] = float64(i%7) - 3
		// Strides enough that it is not proven before the cancellation arrives.
		for _, stride := range []int{1, 7, 31, 53, 101} {
			couplings = append(couplings, ketgate.Term{I: i, J: (i + stride) % 400, Value: float64((i*stride)%5) - 2})
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var incumbents int
	var last error
	for event, err := range live(t).SolveStream(ctx, ketgate.Ising(fields, couplings, time.Minute)) {
		last = err
		if event.GetIncumbent() != nil {
			incumbents++
			cancel()
		}
	}
	if incumbents == 0 || !errors.Is(last, context.Canceled) {
		t.Errorf("%d incumbents, then %v", incumbents, last)
	}
}
