// Jobs creates a durable job, watches it until it is done, across restarts of the server, and prints what came of it.
//
//	ketgate serve &
//	go run ./examples/jobs                       # the local server
//	go run ./examples/jobs -id 42                # run it twice: the second finds the job of the first
//	go run ./examples/jobs path/ready.json       # the server that wrote this file
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"time"

	ketgate "ketgate.dev/clients/go"
	jobsv1 "ketgate.dev/clients/go/gen/ketgate/jobs/v1"
	optimizationv1 "ketgate.dev/clients/go/gen/ketgate/optimization/v1"
)

const (
	spins = 200
	limit = 3 * time.Second
)

func main() {
	log.SetFlags(0)
	id := flag.String("id", "", "request id: the same id is the same job; default: a new one")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *id, flag.Args()); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, id string, arguments []string) error {
	var options []ketgate.Option
	if len(arguments) > 0 {
		options = append(options, ketgate.WithReadyFile(arguments[0]))
	}
	client, err := ketgate.Connect(ctx, options...)
	if err != nil {
		return err
	}
	defer client.Close()

	job, err := client.CreateJob(ctx, &jobsv1.CreateJobRequest{
		Spec:      &jobsv1.JobSpec{Work: &jobsv1.JobSpec_Solve{Solve: problem()}},
		RequestId: id,
		Labels:    map[string]string{"example": "go"},
	})
	if err != nil {
		return err
	}
	fmt.Printf("%s is on disk: this program and the server may both end, and it is done\n", job.GetName())
	if err := follow(ctx, client, job); err != nil {
		return err
	}
	job, err = client.Job(ctx, job.GetName(), true)
	if err != nil {
		return err
	}
	return report(job)
}

// problem is a ring of spins with couplings of both signs and a few chords.
func problem() *optimizationv1.SolveSpec {
	var couplings []ketgate.Term
	for i := range spins {
		sign := float64(1 - 2*(i*i%3%2))
		couplings = append(couplings, ketgate.Term{I: i, J: (i + 1) % spins, Value: sign})
		couplings = append(couplings, ketgate.Term{I: i, J: (i + 7*(1+i%5)) % spins, Value: -sign / 2})
	}
	spec := ketgate.Ising(make([]float64, spins), couplings, limit)
	seed := uint64(1)
	spec.Seed = &seed
	return spec
}

// follow prints each change until the job is over. A job that already is has nothing more to tell.
func follow(ctx context.Context, client *ketgate.Client, job *jobsv1.Job) error {
	if ketgate.IsOver(job.GetState()) {
		return nil
	}
	request := &jobsv1.WatchJobsRequest{StartRevision: job.GetRevision(), Names: []string{job.GetName()}}
	for event, err := range client.WatchJobs(ctx, request) {
		if err != nil {
			return err
		}
		fmt.Printf("%7d  %v", event.GetRevision(), event.GetState())
		if progress := event.GetProgress(); progress != nil && progress.Objective != nil {
			fmt.Printf("  energy %.6g by %s", progress.GetObjective(), progress.GetSolver())
		}
		fmt.Println()
		if ketgate.IsOver(event.GetState()) {
			break
		}
	}
	return nil
}

func report(job *jobsv1.Job) error {
	result := job.GetResult().GetSolve()
	if result == nil {
		return ketgate.JobError(job)
	}
	fmt.Printf("%v after %d attempt(s): energy %.6g, %v by %s\n", job.GetState(), job.GetAttemptCount(),
		result.GetObjective(), result.GetStatus(), result.GetSolver())
	return nil
}
