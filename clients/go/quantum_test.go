package ketgate_test

import (
	"errors"
	"testing"

	ketgate "ketgate.dev/clients/go"
	typev1 "ketgate.dev/clients/go/gen/ketgate/type/v1"
)

const bell = `OPENQASM 3.0;
include "stdgates.inc";
qubit[2] q;
bit[2] c;
h q[0];
cx q[0], q[1];
c = measure q;
`

func TestServerRunsCircuits(t *testing.T) {
	client := live(t)
	result, err := client.RunCircuits(t.Context(), ketgate.Circuits(100, bell))
	if err != nil {
		t.Fatal(err)
	}
	counts := result.GetCircuits()[0].GetCounts()
	if counts["00"]+counts["11"] != 100 {
		t.Errorf("a Bell pair was read as %v", counts)
	}
	estimate, err := client.EstimateRun(t.Context(), ketgate.Circuits(100, bell, bell))
	if err != nil {
		t.Fatal(err)
	}
	if estimate.GetShots() != 200 || estimate.GetBackend() == "" {
		t.Errorf("the estimate is %v", estimate)
	}
}

func TestServerStreamsCircuits(t *testing.T) {
	results, evidences := 0, 0
	for event, err := range live(t).RunCircuitsStream(t.Context(), ketgate.Circuits(10, bell, bell, bell)) {
		if err != nil {
			t.Fatal(err)
		}
		if event.GetCircuit() != nil {
			results++
		}
		if event.GetEvidence() != nil {
			evidences++
		}
	}
	if results != 3 || evidences != 1 {
		t.Errorf("the stream had %d results and %d summaries", results, evidences)
	}
}

func TestServerEstimatesObservables(t *testing.T) {
	observables := []*typev1.PauliSum{
		ketgate.Sum(ketgate.Pauli(2, "ZZ"), ketgate.Pauli(0.5, "")),
		ketgate.Sum(ketgate.Pauli(1, "Z", 1)),
	}
	told, err := live(t).EstimateObservables(t.Context(), ketgate.Expectations(observables, bell))
	if err != nil {
		t.Fatal(err)
	}
	for i, expected := range []float64{2.5, 0} {
		if got := told.GetExpectations()[i].GetValue(); got < expected-1e-12 || got > expected+1e-12 {
			t.Errorf("expectation %d is %v, not %v", i, got, expected)
		}
	}
}

func TestServerTellsWhereAProgramIsWrong(t *testing.T) {
	client := live(t)
	_, err := client.RunCircuits(t.Context(), ketgate.Circuits(1, "OPENQASM 3.0; qubit q; foo q;"))
	var refused *ketgate.Error
	if !errors.Is(err, ketgate.ErrProgramInvalid) || !errors.As(err, &refused) {
		t.Fatalf("the error is %v", err)
	}
	if refused.Field != "spec.circuits[0].openqasm" {
		t.Errorf("the field is %q", refused.Field)
	}
	backends, err := client.Backends(t.Context(), `name = "native"`)
	if err != nil {
		t.Fatal(err)
	}
	if len(backends) != 1 || backends[0].GetNumQubits() < 10 {
		t.Errorf("the back ends are %v", backends)
	}
}
