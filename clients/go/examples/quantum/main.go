// Quantum prepares five entangled qubits, shows how often each outcome was read, and estimates two expectations.
//
//	ketgate serve &
//	go run ./examples/quantum                                 # the local server
//	go run ./examples/quantum -backend emulator/ibm_lima      # with the noise of a device
//	go run ./examples/quantum path/ready.json                 # the server that wrote this file
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"maps"
	"os"
	"os/signal"
	"slices"
	"strings"

	ketgate "ketgate.dev/clients/go"
	quantumv1 "ketgate.dev/clients/go/gen/ketgate/quantum/v1"
	typev1 "ketgate.dev/clients/go/gen/ketgate/type/v1"
)

const (
	shots = 2000
	ghz   = `OPENQASM 3.0;
include "stdgates.inc";
qubit[5] q;
bit[5] c;
h q[0];
for int i in [0:3] { cx q[i], q[i + 1]; }
c = measure q;
`
)

func main() {
	log.SetFlags(0)
	backend := flag.String("backend", "native", "name of a back end; empty: the server chooses")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *backend, flag.Args()); err != nil {
		if errors.Is(err, ketgate.ErrBackendUnsuitable) {
			log.Fatalf("%s cannot do this\n%v", *backend, err)
		}
		log.Fatal(err)
	}
}

func run(ctx context.Context, backend string, arguments []string) error {
	var options []ketgate.Option
	if len(arguments) > 0 {
		options = append(options, ketgate.WithReadyFile(arguments[0]))
	}
	client, err := ketgate.Connect(ctx, options...)
	if err != nil {
		return err
	}
	defer client.Close()

	seed := uint64(1)
	spec := ketgate.Circuits(shots, ghz)
	spec.Backend = &quantumv1.BackendChoice{Backend: backend}
	spec.Seed = &seed
	result, err := client.RunCircuits(ctx, spec)
	if err != nil {
		return err
	}
	histogram(result.GetCircuits()[0].GetCounts())
	evidence := result.GetEvidence()
	fmt.Printf("\nby %s (%v), noise: %s, seed %d, %v\n\n", evidence.GetBackend(), evidence.GetKind(), evidence.GetNoiseModel(),
		evidence.GetSeed(), evidence.GetTimes().GetTotal().AsDuration())
	return expectations(ctx, client, backend)
}

// histogram prints a bar for each outcome, the most frequent first.
func histogram(counts map[string]int64) {
	outcomes := slices.Collect(maps.Keys(counts))
	slices.SortFunc(outcomes, func(a, b string) int {
		return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a, b))
	})
	for _, outcome := range outcomes {
		fmt.Printf("%s  %5d  %s\n", outcome, counts[outcome], strings.Repeat("#", int(60*counts[outcome]/shots)))
	}
}

// expectations estimates XXXXX, which is 1 only where the five are entangled, and the mean of the five Z.
func expectations(ctx context.Context, client *ketgate.Client, backend string) error {
	mean := ketgate.Sum()
	for qubit := range int32(5) {
		mean.Terms = append(mean.Terms, ketgate.Pauli(0.2, "Z", qubit))
	}
	observables := []*typev1.PauliSum{ketgate.Sum(ketgate.Pauli(1, "XXXXX")), mean}
	spec := ketgate.Expectations(observables, ghz)
	spec.Backend = &quantumv1.BackendChoice{Backend: backend}
	told, err := client.EstimateObservables(ctx, spec)
	if err != nil {
		return err
	}
	for i, name := range []string{"XXXXX", "mean Z"} {
		found := told.GetExpectations()[i]
		fmt.Printf("%-6s  %+.6f +- %.6f\n", name, found.GetValue(), found.GetStandardError())
	}
	return nil
}
