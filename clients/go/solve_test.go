package ketgate

import (
	"context"
	"errors"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/durationpb"

	optimizationv1 "ketgate.dev/clients/go/gen/ketgate/optimization/v1"
)

type eventSender = grpc.ServerStreamingServer[optimizationv1.SolveStreamResponse]

func incumbent(objective float64) *Event {
	return &Event{Event: &optimizationv1.SolveStreamResponse_Incumbent{Incumbent: &optimizationv1.Incumbent{
		Solution: &optimizationv1.Solution{Objective: objective}}}}
}

func result() *Event {
	return &Event{Event: &optimizationv1.SolveStreamResponse_Result{Result: &optimizationv1.SolveResult{}}}
}

func TestAStreamIsAnIterator(t *testing.T) {
	client, _ := connected(t, &fakeServer{stream: func(to eventSender) error {
		for _, event := range []*Event{incumbent(3), incumbent(2), result()} {
			if err := to.Send(event); err != nil {
				return err
			}
		}
		return nil
	}})
	var objectives []float64
	var done bool
	for event, err := range client.SolveStream(t.Context(), &optimizationv1.SolveSpec{}) {
		if err != nil {
			t.Fatal(err)
		}
		if found := event.GetIncumbent(); found != nil {
			objectives = append(objectives, found.GetSolution().GetObjective())
		}
		done = event.GetResult() != nil
	}
	if len(objectives) != 2 || objectives[0] != 3 || objectives[1] != 2 || !done {
		t.Errorf("got %v, result last: %v", objectives, done)
	}
}

func TestLeavingTheLoopCancelsTheSolve(t *testing.T) {
	cancelled := make(chan struct{})
	client, _ := connected(t, &fakeServer{stream: func(to eventSender) error {
		if err := to.Send(incumbent(1)); err != nil {
			return err
		}
		<-to.Context().Done()
		close(cancelled)
		return to.Context().Err()
	}})
	for range client.SolveStream(t.Context(), &optimizationv1.SolveSpec{}) {
		break
	}
	select {
	case <-cancelled:
	case <-time.After(10 * time.Second):
		t.Error("the server was not told")
	}
}

func TestAStreamThatBreaksKeepsWhatCame(t *testing.T) {
	var opened int
	client, _ := connected(t, &fakeServer{stream: func(to eventSender) error {
		opened++
		if err := to.Send(incumbent(1)); err != nil {
			return err
		}
		return refusal(codes.Unavailable, "DRAINING", "stopping")
	}})
	var events int
	var last error
	for event, err := range client.SolveStream(t.Context(), &optimizationv1.SolveSpec{}) {
		if event != nil {
			events++
		}
		last = err
	}
	if events != 1 || !errors.Is(last, ErrDraining) || opened != 1 {
		t.Errorf("%d events, then %v, opened %d times", events, last, opened)
	}
}

func TestAStreamThatIsRefusedIsOpenedAgain(t *testing.T) {
	var opened int
	client, waits := connected(t, &fakeServer{stream: func(to eventSender) error {
		if opened++; opened == 1 {
			return busy(0)
		}
		return to.Send(result())
	}})
	var events int
	for _, err := range client.SolveStream(t.Context(), &optimizationv1.SolveSpec{}) {
		if err != nil {
			t.Fatal(err)
		}
		events++
	}
	if events != 1 || opened != 2 || len(*waits) != 1 {
		t.Errorf("%d events, opened %d times, waits %v", events, opened, *waits)
	}
}

func TestTheDeadlineFollowsTheTimeLimit(t *testing.T) {
	var given time.Duration
	client, _ := connected(t, &fakeServer{
		solve: func(ctx context.Context, _ *optimizationv1.SolveRequest) (*optimizationv1.SolveResponse, error) {
			deadline, _ := ctx.Deadline()
			given = time.Until(deadline)
			return &optimizationv1.SolveResponse{}, nil
		},
	})
	for _, limit := range []time.Duration{2 * time.Second, 10 * time.Minute} {
		spec := &optimizationv1.SolveSpec{TimeLimit: durationpb.New(limit)}
		if _, err := client.Solve(t.Context(), spec); err != nil {
			t.Fatal(err)
		}
		if given < limit || given > limit+solveGrace {
			t.Errorf("a limit of %v gives a deadline of %v", limit, given)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 40*time.Second)
	defer cancel()
	if _, err := client.Solve(ctx, &optimizationv1.SolveSpec{}); err != nil || given > 40*time.Second {
		t.Errorf("the caller's own deadline of 40 s became %v (%v)", given, err)
	}
}

func TestAHugeTimeLimitDoesNotOverflow(t *testing.T) {
	ctx, cancel := bySpec(t.Context(), &optimizationv1.SolveSpec{TimeLimit: &durationpb.Duration{Seconds: 1 << 60}})
	defer cancel()
	if ctx.Err() != nil {
		t.Error("the context has already ended")
	}
}

func TestSolversFollowsThePages(t *testing.T) {
	client, _ := connected(t, &fakeServer{
		list: func(r *optimizationv1.ListSolversRequest) (*optimizationv1.ListSolversResponse, error) {
			if r.GetPageToken() == "" {
				return &optimizationv1.ListSolversResponse{
					Solvers: []*optimizationv1.Solver{{Name: "a"}}, NextPageToken: "next"}, nil
			}
			return &optimizationv1.ListSolversResponse{Solvers: []*optimizationv1.Solver{{Name: "b"}}}, nil
		},
	})
	solvers, err := client.Solvers(t.Context())
	if err != nil || len(solvers) != 2 || solvers[0].GetName() != "a" || solvers[1].GetName() != "b" {
		t.Errorf("got %v, %v", solvers, err)
	}
}
