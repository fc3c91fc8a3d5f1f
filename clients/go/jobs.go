package ketgate

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"iter"
	"time"

	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	jobsv1 "ketgate.dev/clients/go/gen/ketgate/jobs/v1"
)

const (
	// One WaitJob waits so long at most.
	waitOnce = 30 * time.Second
	// A watch that was cut is taken up again for so long.
	watchPatience = 30 * time.Second
	// A watch is opened anew this often, so that a connection that died without a word is noticed.
	watchRenewal = time.Minute
)

// CreateJob has the server accept a job: when it returns, the job is on disk. An empty request id is filled in, so that
// the retries of this call are one job; set it yourself to repeat the call after a crash of your own.
func (c *Client) CreateJob(ctx context.Context, request *jobsv1.CreateJobRequest) (*jobsv1.Job, error) {
	if request.GetRequestId() == "" {
		request.RequestId = rand.Text()
	}
	answer, err := c.Jobs.CreateJob(ctx, request)
	return answer.GetJob(), err
}

// Job tells how a job stands; full: with its spec and its result.
func (c *Client) Job(ctx context.Context, name string, full bool) (*jobsv1.Job, error) {
	answer, err := c.Jobs.GetJob(ctx, &jobsv1.GetJobRequest{Name: name, View: view(full)})
	return answer.GetJob(), err
}

// CancelJob tells a job to stop; one that runs keeps its best so far.
func (c *Client) CancelJob(ctx context.Context, name, reason string) (*jobsv1.Job, error) {
	request := &jobsv1.CancelJobRequest{Name: name, Reason: reason, RequestId: rand.Text()}
	answer, err := c.Jobs.CancelJob(ctx, request)
	return answer.GetJob(), err
}

// WaitJob waits until a job is over, or the context, and returns it with its result. A server that is restarted
// meanwhile is waited for. What the job failed of is in its Error; see [JobError].
func (c *Client) WaitJob(ctx context.Context, name string) (*jobsv1.Job, error) {
	patience := c.newPatience()
	for {
		once, cancel := context.WithTimeout(ctx, waitOnce+c.policy.timeout)
		answer, err := c.Jobs.WaitJob(once, &jobsv1.WaitJobRequest{Name: name, Timeout: durationpb.New(waitOnce)})
		cancel()
		switch {
		case err != nil:
			if err = patience.after(ctx, err); err != nil {
				return nil, err
			}
		case IsOver(answer.GetJob().GetState()):
			return c.Job(ctx, name, true)
		default:
			patience.heard()
		}
	}
}

// WatchJobs yields the changes of the tenant's jobs in order of revision, until the loop is left or the context ends;
// request.StartRevision 0: from now on. A cut connection, a restarted server and a watch that was too slow are got over
// without a gap or a repeat. An error is the last thing that is yielded. To go on later, start at the revision after
// that of the last event.
func (c *Client) WatchJobs(ctx context.Context, request *jobsv1.WatchJobsRequest) iter.Seq2[*jobsv1.JobEvent, error] {
	return func(yield func(*jobsv1.JobEvent, error) bool) {
		watch := &watch{client: c, patience: c.newPatience(), request: &jobsv1.WatchJobsRequest{
			StartRevision: request.GetStartRevision(),
			Names:         request.GetNames(),
			StatesOnly:    request.GetStatesOnly(),
			Heartbeat:     request.GetHeartbeat(),
		}}
		for {
			err := watch.once(ctx, yield)
			if err == errLeft {
				return
			}
			if err = watch.patience.after(ctx, err); err != nil {
				yield(nil, err)
				return
			}
		}
	}
}

// errLeft says that the caller has left the loop.
var errLeft = errors.New("the loop was left")

type watch struct {
	client   *Client
	request  *jobsv1.WatchJobsRequest
	patience *patience
}

// once reads one stream to its end, and returns why it ended; nil where it is only to be renewed.
func (w *watch) once(ctx context.Context, yield func(*jobsv1.JobEvent, error) bool) error {
	ctx, cancel := context.WithTimeout(ctx, watchRenewal)
	defer cancel()
	stream, err := w.client.Jobs.WatchJobs(ctx, w.request)
	heard := false
	for err == nil {
		var message *jobsv1.WatchJobsResponse
		if message, err = stream.Recv(); err != nil {
			break
		}
		heard = true
		w.patience.heard()
		known := w.request.GetStartRevision()
		w.request.StartRevision = max(known, message.GetNextRevision())
		for _, event := range message.GetEvents() {
			if event.GetRevision() >= known && !yield(event, nil) {
				return errLeft
			}
		}
	}
	if err == io.EOF {
		return unavailable("the server ended the watch")
	}
	if heard && errors.Is(err, ErrDeadlineExceeded) {
		return nil
	}
	return err
}

// JobError is why a job failed, was cancelled or has expired; nil for one that did not.
func JobError(job *jobsv1.Job) error {
	if job.GetError() == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", job.GetName(), fromStatus(job.GetError()))
}

// IsOver tells whether a job in this state never changes again.
func IsOver(state jobsv1.JobState) bool {
	switch state {
	case jobsv1.JobState_JOB_STATE_SUCCEEDED, jobsv1.JobState_JOB_STATE_FAILED,
		jobsv1.JobState_JOB_STATE_CANCELLED, jobsv1.JobState_JOB_STATE_EXPIRED:
		return true
	}
	return false
}

func view(full bool) jobsv1.JobView {
	if full {
		return jobsv1.JobView_JOB_VIEW_FULL
	}
	return jobsv1.JobView_JOB_VIEW_BASIC
}

// patience takes up again what goes on for hours, for as long as watchPatience since it was last heard of.
type patience struct {
	policy *policy
	tried  int
	lost   time.Time
	now    func() time.Time
}

func (c *Client) newPatience() *patience { return &patience{policy: c.policy, now: time.Now} }

func (p *patience) heard() { p.tried = 0 }

// after waits before the next attempt. It returns the error where there is to be none, nil otherwise.
func (p *patience) after(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return newError(status.FromContextError(ctx.Err()).Err())
	}
	if err == nil {
		return nil
	}
	var failure *Error
	if !errors.As(err, &failure) || !failure.isCut() || p.policy.attempts == 1 {
		return err
	}
	if p.tried == 0 {
		p.lost = p.now()
	}
	p.tried++
	wait := backoff(p.tried, failure.RetryAfter)
	if p.now().Add(wait).Sub(p.lost) > watchPatience || p.policy.pause(ctx, wait) != nil {
		return err
	}
	return nil
}
