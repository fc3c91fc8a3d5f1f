package ketgate

import (
	"context"
	"errors"
	"io"
	"iter"
	"time"

	optimizationv1 "ketgate.dev/clients/go/gen/ketgate/optimization/v1"
)

const (
	// The server's default where a spec has no time limit.
	defaultTimeLimit = 10 * time.Second
	// What a call may take beyond its time limit: transport, and waiting for a free slot.
	solveGrace = 10 * time.Second
)

// Event is one event of a stream of solutions: an incumbent, a sign of progress, or, at the end, the result.
type Event = optimizationv1.SolveStreamResponse

// Solve solves and answers once. Infeasible and unbounded are results: look at the status before the solutions.
func (c *Client) Solve(ctx context.Context, spec *optimizationv1.SolveSpec) (*optimizationv1.SolveResult, error) {
	ctx, cancel := bySpec(ctx, spec)
	defer cancel()
	answer, err := c.Optimization.Solve(ctx, &optimizationv1.SolveRequest{Spec: spec})
	if err != nil {
		return nil, err
	}
	return answer.GetResult(), nil
}

// Estimate checks a spec and tells what solving it would take, without solving it.
func (c *Client) Estimate(ctx context.Context, spec *optimizationv1.SolveSpec) (*optimizationv1.SolveEstimate, error) {
	answer, err := c.Optimization.Solve(ctx, &optimizationv1.SolveRequest{Spec: spec, ValidateOnly: true})
	if err != nil {
		return nil, err
	}
	return answer.GetEstimate(), nil
}

// Solvers lists the solvers, with their parameters and what each can prove.
func (c *Client) Solvers(ctx context.Context) ([]*optimizationv1.Solver, error) {
	var solvers []*optimizationv1.Solver
	request := &optimizationv1.ListSolversRequest{}
	for {
		page, err := c.Optimization.ListSolvers(ctx, request)
		if err != nil {
			return nil, err
		}
		solvers = append(solvers, page.GetSolvers()...)
		if page.GetNextPageToken() == "" {
			return solvers, nil
		}
		request.PageToken = page.GetNextPageToken()
	}
}

// SolveStream solves and yields every improvement as it is found, then the result. Leaving the loop cancels the solve.
// An error is the last thing that is yielded; what came before it stays valid.
func (c *Client) SolveStream(ctx context.Context, spec *optimizationv1.SolveSpec) iter.Seq2[*Event, error] {
	return func(yield func(*Event, error) bool) {
		ctx, cancel := bySpec(ctx, spec)
		defer cancel() // tells the server when the loop was left early

		stream, event, err := c.openStream(ctx, spec)
		for err == nil {
			if !yield(event, nil) {
				return
			}
			event, err = stream.Recv()
		}
		if !errors.Is(err, io.EOF) {
			yield(nil, err)
		}
	}
}

type eventStream interface{ Recv() (*Event, error) }

// openStream opens the stream and waits for its first event: until then the call may be made again.
func (c *Client) openStream(ctx context.Context, spec *optimizationv1.SolveSpec) (eventStream, *Event, error) {
	var stream eventStream
	var first *Event
	err := c.policy.attempt(ctx, func() error {
		opened, err := c.Optimization.SolveStream(ctx, &optimizationv1.SolveStreamRequest{Spec: spec})
		if err != nil {
			return err
		}
		stream = opened
		first, err = opened.Recv()
		return err
	})
	return stream, first, err
}

// bySpec gives a solve the deadline that its time limit asks for, unless the caller has set one.
func bySpec(ctx context.Context, spec *optimizationv1.SolveSpec) (context.Context, context.CancelFunc) {
	if _, has := ctx.Deadline(); has {
		return context.WithCancel(ctx)
	}
	limit := defaultTimeLimit
	if spec.GetTimeLimit() != nil {
		// What no server takes is for the server to refuse; here it must only not overflow.
		limit = min(max(spec.GetTimeLimit().AsDuration(), 0), 24*time.Hour)
	}
	return context.WithTimeout(ctx, limit+solveGrace)
}

// streamError leaves io.EOF alone: it is the end of a stream, no failure.
func streamError(err error) error {
	if err == io.EOF {
		return err
	}
	return newError(err)
}
