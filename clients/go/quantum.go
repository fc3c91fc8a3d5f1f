package ketgate

import (
	"context"
	"errors"
	"io"
	"iter"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	quantumv1 "ketgate.dev/clients/go/gen/ketgate/quantum/v1"
	typev1 "ketgate.dev/clients/go/gen/ketgate/type/v1"
)

// Waited for a run whose spec has no time limit.
const defaultRunLimit = 10 * time.Minute

// CircuitEvent is one event of a stream of results: a circuit's, or, at the end, the evidence of the whole.
type CircuitEvent = quantumv1.RunCircuitsStreamResponse

// Circuits are the spec that runs programs of OpenQASM so many times each; 0 shots: exact probabilities, of simulators.
// Whatever else a spec has, as a back end or a seed, is set on its fields.
func Circuits(shots int64, programs ...string) *quantumv1.RunCircuitsSpec {
	return &quantumv1.RunCircuitsSpec{Circuits: circuits(programs), Shots: shots}
}

// Expectations are the spec that estimates each observable on each program, exactly. With Shots they are sampled.
func Expectations(observables []*typev1.PauliSum, programs ...string) *quantumv1.EstimateObservablesSpec {
	return &quantumv1.EstimateObservablesSpec{Circuits: circuits(programs), Observables: observables}
}

// Pauli is a term of an observable: coefficient times one of X, Y, Z on each of the qubits, in their order. Without
// qubits the letters stand for qubits 0, 1, 2 and so on.
func Pauli(coefficient float64, letters string, qubits ...int32) *typev1.PauliTerm {
	return &typev1.PauliTerm{Coefficient: coefficient, Paulis: letters, Qubits: qubits}
}

// Sum is the observable of these terms.
func Sum(terms ...*typev1.PauliTerm) *typev1.PauliSum { return &typev1.PauliSum{Terms: terms} }

func circuits(programs []string) []*quantumv1.Circuit {
	made := make([]*quantumv1.Circuit, len(programs))
	for i, program := range programs {
		made[i] = &quantumv1.Circuit{Openqasm: program}
	}
	return made
}

// RunCircuits runs circuits and answers once. A QPU takes a job: CreateJob with JobSpec_RunCircuits.
func (c *Client) RunCircuits(ctx context.Context, spec *quantumv1.RunCircuitsSpec) (*quantumv1.RunCircuitsResult, error) {
	ctx, cancel := byRun(ctx, spec)
	defer cancel()
	answer, err := c.Quantum.RunCircuits(ctx, &quantumv1.RunCircuitsRequest{Spec: spec})
	if err != nil {
		return nil, err
	}
	return answer.GetResult(), nil
}

// EstimateObservables estimates expectations, with their standard errors.
func (c *Client) EstimateObservables(
	ctx context.Context, spec *quantumv1.EstimateObservablesSpec,
) (*quantumv1.EstimateObservablesResult, error) {
	ctx, cancel := byRun(ctx, spec)
	defer cancel()
	answer, err := c.Quantum.EstimateObservables(ctx, &quantumv1.EstimateObservablesRequest{Spec: spec})
	if err != nil {
		return nil, err
	}
	return answer.GetResult(), nil
}

// EstimateRun tells what a run would take, without running it.
func (c *Client) EstimateRun(ctx context.Context, spec *quantumv1.RunCircuitsSpec) (*quantumv1.RunEstimate, error) {
	answer, err := c.Quantum.EstimateRun(ctx, &quantumv1.EstimateRunRequest{
		Work: &quantumv1.EstimateRunRequest_RunCircuits{RunCircuits: spec},
	})
	if err != nil {
		return nil, err
	}
	return answer.GetEstimate(), nil
}

// Backends lists the back ends; filter: for example `kind = "simulator" AND num_qubits >= 20`.
func (c *Client) Backends(ctx context.Context, filter string) ([]*quantumv1.Backend, error) {
	var backends []*quantumv1.Backend
	request := &quantumv1.ListBackendsRequest{Filter: filter}
	for {
		page, err := c.Quantum.ListBackends(ctx, request)
		if err != nil {
			return nil, err
		}
		backends = append(backends, page.GetBackends()...)
		if page.GetNextPageToken() == "" {
			return backends, nil
		}
		request.PageToken = page.GetNextPageToken()
	}
}

// RunCircuitsStream runs circuits and yields the result of each as soon as it is there, then the evidence. Leaving the
// loop cancels the run. An error is the last thing that is yielded; what came before it stays valid.
func (c *Client) RunCircuitsStream(ctx context.Context, spec *quantumv1.RunCircuitsSpec) iter.Seq2[*CircuitEvent, error] {
	return func(yield func(*CircuitEvent, error) bool) {
		ctx, cancel := byRun(ctx, spec)
		defer cancel() // tells the server when the loop was left early

		stream, err := c.Quantum.RunCircuitsStream(ctx, &quantumv1.RunCircuitsStreamRequest{Spec: spec})
		for err == nil {
			var event *CircuitEvent
			if event, err = stream.Recv(); err == nil && !yield(event, nil) {
				return
			}
		}
		if !errors.Is(err, io.EOF) {
			yield(nil, err)
		}
	}
}

type limited interface{ GetTimeLimit() *durationpb.Duration }

// byRun gives a run the deadline that its time limit asks for, unless the caller has set one.
func byRun(ctx context.Context, spec limited) (context.Context, context.CancelFunc) {
	if _, has := ctx.Deadline(); has {
		return context.WithCancel(ctx)
	}
	limit := defaultRunLimit
	if spec.GetTimeLimit() != nil {
		limit = min(max(spec.GetTimeLimit().AsDuration(), 0), 24*time.Hour)
	}
	return context.WithTimeout(ctx, limit+solveGrace)
}
