package ketgate

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	jobsv1 "ketgate.dev/clients/go/gen/ketgate/jobs/v1"
)

// fakeJobs answers each call by the next of its functions; the last one stays.
type fakeJobs struct {
	jobsv1.UnimplementedJobServiceServer
	created []*jobsv1.CreateJobRequest
	create  []error
	asked   []int64
	watches []watchAnswer
	waits   []waitAnswer
}

type watchAnswer struct {
	revisions []int64
	err       error
}

type waitAnswer struct {
	state jobsv1.JobState
	err   error
}

func next[T any](answers *[]T) T {
	answer := (*answers)[0]
	if len(*answers) > 1 {
		*answers = (*answers)[1:]
	}
	return answer
}

func (f *fakeJobs) CreateJob(_ context.Context, r *jobsv1.CreateJobRequest) (*jobsv1.CreateJobResponse, error) {
	f.created = append(f.created, r)
	if err := next(&f.create); err != nil {
		return nil, err
	}
	return &jobsv1.CreateJobResponse{Job: &jobsv1.Job{Name: "jobs/a"}}, nil
}

func (f *fakeJobs) WatchJobs(r *jobsv1.WatchJobsRequest, s grpc.ServerStreamingServer[jobsv1.WatchJobsResponse]) error {
	f.asked = append(f.asked, r.GetStartRevision())
	answer := next(&f.watches)
	for _, revision := range answer.revisions {
		message := &jobsv1.WatchJobsResponse{
			Events: []*jobsv1.JobEvent{{Revision: revision}}, NextRevision: revision + 1,
		}
		if err := s.Send(message); err != nil {
			return err
		}
	}
	return answer.err
}

func (f *fakeJobs) WaitJob(context.Context, *jobsv1.WaitJobRequest) (*jobsv1.WaitJobResponse, error) {
	answer := next(&f.waits)
	if answer.err != nil {
		return nil, answer.err
	}
	return &jobsv1.WaitJobResponse{Job: &jobsv1.Job{Name: "jobs/a", State: answer.state}}, nil
}

func (f *fakeJobs) GetJob(_ context.Context, r *jobsv1.GetJobRequest) (*jobsv1.GetJobResponse, error) {
	return &jobsv1.GetJobResponse{Job: &jobsv1.Job{Name: r.GetName(), Error: &spb.Status{
		Code: int32(codes.Aborted), Message: "its workers died"}}}, nil
}

var away = status.Error(codes.Unavailable, "gone")

func TestARepeatedCreationIsOneJob(t *testing.T) {
	fake := &fakeJobs{create: []error{refusal(codes.Unavailable, "STORE_UNAVAILABLE", "full"), away, nil}}
	client, _ := connected(t, &fakeServer{jobs: fake})
	job, err := client.CreateJob(t.Context(), &jobsv1.CreateJobRequest{})
	if err != nil || job.GetName() != "jobs/a" || len(fake.created) != 3 {
		t.Fatalf("%v, %v after %d calls", job, err, len(fake.created))
	}
	for _, request := range fake.created {
		if len(request.GetRequestId()) < 16 || request.GetRequestId() != fake.created[0].GetRequestId() {
			t.Errorf("request id %q", request.GetRequestId())
		}
	}
}

func TestAWatchGoesOnWhereItWasCut(t *testing.T) {
	fake := &fakeJobs{watches: []watchAnswer{
		{[]int64{3, 4}, away},
		{nil, refusal(codes.Aborted, "WATCH_TOO_SLOW", "slow")},
		{[]int64{4, 6}, nil}, // an end without an error, and a change that was told before
		{[]int64{7}, refusal(codes.OutOfRange, "REVISION_COMPACTED", "gone")},
	}}
	client, waits := connected(t, &fakeServer{jobs: fake})
	var seen []int64
	var last error
	for event, err := range client.WatchJobs(t.Context(), &jobsv1.WatchJobsRequest{StartRevision: 3}) {
		if last = err; err == nil {
			seen = append(seen, event.GetRevision())
		}
	}
	if !slices.Equal(seen, []int64{3, 4, 6, 7}) || !slices.Equal(fake.asked, []int64{3, 5, 5, 7}) {
		t.Errorf("saw %v, asked %v", seen, fake.asked)
	}
	if !errors.Is(last, ErrRevisionCompacted) || len(*waits) != 3 {
		t.Errorf("%v after %d pauses", last, len(*waits))
	}
}

func TestAWatchEndsWithItsLoopAndWithItsContext(t *testing.T) {
	fake := &fakeJobs{watches: []watchAnswer{{[]int64{1, 2}, nil}}}
	client, _ := connected(t, &fakeServer{jobs: fake})
	for range client.WatchJobs(t.Context(), &jobsv1.WatchJobsRequest{StartRevision: 1}) {
		break
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var last error
	for _, err := range client.WatchJobs(ctx, &jobsv1.WatchJobsRequest{StartRevision: 1}) {
		last = err
		cancel()
	}
	if !errors.Is(last, context.Canceled) {
		t.Errorf("ended with %v", last)
	}
}

func TestAWaitOutlivesItsServer(t *testing.T) {
	fake := &fakeJobs{waits: []waitAnswer{
		{jobsv1.JobState_JOB_STATE_RUNNING, nil}, {0, away}, {jobsv1.JobState_JOB_STATE_FAILED, nil},
	}}
	client, _ := connected(t, &fakeServer{jobs: fake})
	job, err := client.WaitJob(t.Context(), "jobs/a")
	if err != nil {
		t.Fatal(err)
	}
	if failure := JobError(job); status.Code(failure) != codes.Aborted || failure.Error() == "" {
		t.Errorf("it failed of %v", failure)
	}
	if JobError(&jobsv1.Job{}) != nil {
		t.Error("a job without an error failed")
	}
}

func TestPatienceIsCountedFromTheLastSignOfLife(t *testing.T) {
	client, _ := connected(t, &fakeServer{})
	patience, now := client.newPatience(), time.Time{}
	patience.now = func() time.Time { return now }
	for range 20 {
		if err := patience.after(t.Context(), newError(away)); err != nil {
			t.Fatal(err)
		}
		now = now.Add(time.Second)
	}
	patience.heard()
	if err := patience.after(t.Context(), newError(away)); err != nil {
		t.Fatal(err)
	}
	now = now.Add(watchPatience)
	if err := patience.after(t.Context(), newError(away)); err == nil {
		t.Error("it goes on for ever")
	}
}
