package ketgate

import (
	"context"
	"errors"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/durationpb"

	optimizationv1 "ketgate.dev/clients/go/gen/ketgate/optimization/v1"
)

// refusing is a server that refuses its first calls with err, and counts them.
func refusing(calls *int, times int, err error) *fakeServer {
	return &fakeServer{
		solve: func(context.Context, *optimizationv1.SolveRequest) (*optimizationv1.SolveResponse, error) {
			if *calls++; *calls <= times {
				return nil, err
			}
			return &optimizationv1.SolveResponse{Result: &optimizationv1.SolveResult{Seed: 7}}, nil
		},
	}
}

func busy(after time.Duration) error {
	return refusal(codes.ResourceExhausted, "SERVER_BUSY", "busy",
		&errdetails.RetryInfo{RetryDelay: durationpb.New(after)})
}

func TestABusyServerIsAskedAgain(t *testing.T) {
	var calls int
	client, waits := connected(t, refusing(&calls, 2, busy(300*time.Millisecond)))
	result, err := client.Solve(t.Context(), &optimizationv1.SolveSpec{})
	if err != nil || result.GetSeed() != 7 || calls != 3 {
		t.Fatalf("%v after %d calls", err, calls)
	}
	if len(*waits) != 2 || (*waits)[0] < 300*time.Millisecond {
		t.Errorf("waited %v, although the server asked for 300 ms", *waits)
	}
}

func TestAttemptsAreLimited(t *testing.T) {
	var calls int
	client, waits := connected(t, refusing(&calls, 100, busy(0)), WithAttempts(3))
	if _, err := client.Solve(t.Context(), &optimizationv1.SolveSpec{}); !errors.Is(err, ErrServerBusy) {
		t.Errorf("got %v", err)
	}
	if calls != 3 || len(*waits) != 2 {
		t.Errorf("%d calls, waits %v", calls, *waits)
	}
}

func TestTheCallersFaultIsNotRepeated(t *testing.T) {
	for _, err := range []error{
		refusal(codes.InvalidArgument, "FIELD_INVALID", "no"),
		refusal(codes.ResourceExhausted, "LIMIT_EXCEEDED", "too large"),
		refusal(codes.Internal, "INTERNAL", "ours"),
	} {
		var calls int
		client, _ := connected(t, refusing(&calls, 1, err))
		if _, got := client.Solve(t.Context(), &optimizationv1.SolveSpec{}); got == nil || calls != 1 {
			t.Errorf("%v was repeated", err)
		}
	}
}

func TestNoTryAfterTheDeadline(t *testing.T) {
	var calls int
	client, waits := connected(t, refusing(&calls, 1, busy(time.Hour)))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if _, err := client.Solve(ctx, &optimizationv1.SolveSpec{}); !errors.Is(err, ErrServerBusy) {
		t.Errorf("got %v", err)
	}
	if calls != 1 || len(*waits) != 0 {
		t.Errorf("%d calls, waits %v", calls, *waits)
	}
}

func TestBackoffGrowsAndIsBounded(t *testing.T) {
	for tried := 1; tried < 100; tried++ {
		full := min(backoffFirst<<min(tried-1, 10), backoffMax)
		if wait := backoff(tried, 0); wait < full/2 || wait > full {
			t.Errorf("try %d waits %v, not between %v and %v", tried, wait, full/2, full)
		}
	}
	if wait := backoff(1, 3*time.Second); wait < 3*time.Second || wait > 3*time.Second+backoffFirst {
		t.Errorf("asked to wait 3 s, waits %v", wait)
	}
}

func TestPauseEndsWithTheContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := pause(ctx, time.Hour); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
