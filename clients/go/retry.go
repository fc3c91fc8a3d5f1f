package ketgate

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"google.golang.org/grpc"
)

const (
	backoffFirst = 100 * time.Millisecond
	backoffMax   = 5 * time.Second
)

// policy is applied to every call: a deadline where the context has none, retries, typed errors. Every method of the
// contract may be repeated: those that change something carry a request id.
type policy struct {
	timeout  time.Duration
	attempts int
	// pause waits, or returns early with the context's error; tests put their own in its place.
	pause func(context.Context, time.Duration) error
}

func newPolicy(timeout time.Duration, attempts int) *policy {
	return &policy{timeout: timeout, attempts: attempts, pause: pause}
}

func (p *policy) unary(ctx context.Context, method string, request, reply any, conn *grpc.ClientConn,
	invoke grpc.UnaryInvoker, options ...grpc.CallOption) error {
	ctx, cancel := p.bounded(ctx)
	defer cancel()
	return p.attempt(ctx, func() error { return invoke(ctx, method, request, reply, conn, options...) })
}

// stream gives typed errors. It does not retry: an error arrives with the first message at the earliest, and
// Client.SolveStream, which sees that one, repeats the call.
func (p *policy) stream(ctx context.Context, description *grpc.StreamDesc, conn *grpc.ClientConn, method string,
	open grpc.Streamer, options ...grpc.CallOption) (grpc.ClientStream, error) {
	inner, err := open(ctx, description, conn, method, options...)
	if err != nil {
		return nil, newError(err)
	}
	return typedStream{inner}, nil
}

// bounded adds the default deadline where there is none.
func (p *policy) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, has := ctx.Deadline(); has || p.timeout <= 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, p.timeout)
}

// attempt calls until it succeeds, fails for good, has been tried often enough, or the next try would come after the
// deadline. It returns the last error, not the deadline's: that one says what is wrong.
func (p *policy) attempt(ctx context.Context, call func() error) error {
	for tried := 1; ; tried++ {
		err := newError(call())
		var failure *Error
		if err == nil || tried >= p.attempts || !errors.As(err, &failure) || !failure.Temporary() {
			return err
		}
		wait := backoff(tried, failure.RetryAfter)
		if deadline, has := ctx.Deadline(); has && time.Until(deadline) <= wait {
			return err
		}
		if p.pause(ctx, wait) != nil {
			return err
		}
	}
}

// backoff doubles with each try and is spread over its upper half, so that clients that were refused together do not
// come back together. It never undercuts what the server asked for.
func backoff(tried int, asked time.Duration) time.Duration {
	wait := min(backoffFirst<<min(tried-1, 10), backoffMax)
	spread := time.Duration(rand.Int64N(int64(wait / 2)))
	return max(wait/2, asked) + spread
}

func pause(ctx context.Context, wait time.Duration) error {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// typedStream turns the errors of a stream into *Error. io.EOF stays itself: it is the end, no failure.
type typedStream struct{ grpc.ClientStream }

func (s typedStream) RecvMsg(message any) error { return streamError(s.ClientStream.RecvMsg(message)) }

func (s typedStream) SendMsg(message any) error { return streamError(s.ClientStream.SendMsg(message)) }
