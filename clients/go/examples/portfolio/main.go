// Portfolio finds the least-variance portfolio of at most four of twelve names, shows every improvement as it is found,
// and prints what it holds.
//
//	ketgate serve &
//	go run ./examples/portfolio                  # the local server
//	go run ./examples/portfolio path/ready.json  # the server that wrote this file
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"os/signal"
	"text/tabwriter"
	"time"

	ketgate "ketgate.dev/clients/go"
	optimizationv1 "ketgate.dev/clients/go/gen/ketgate/optimization/v1"
)

// Yearly volatility and expected return of each name. The covariance is that of one market factor with loadings of
// 0.6 to 1.15 and what each name does by itself.
var (
	names        = []string{"Ash", "Beech", "Cedar", "Doum", "Elm", "Fir", "Gum", "Hazel", "Ivy", "Juniper", "Kapok", "Larch"}
	volatilities = []float64{0.21, 0.18, 0.26, 0.31, 0.17, 0.23, 0.29, 0.19, 0.24, 0.33, 0.22, 0.27}
	returns      = []float64{0.07, 0.05, 0.09, 0.11, 0.04, 0.08, 0.10, 0.06, 0.07, 0.13, 0.06, 0.09}
)

const (
	marketVolatility = 0.16
	namesHeld        = 4
)

func main() {
	log.SetFlags(0)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		var refused *ketgate.Error
		if errors.As(err, &refused) && refused.Field != "" {
			log.Fatalf("the server refuses %s\n%v", refused.Field, err)
		}
		log.Fatal(err)
	}
}

func run(ctx context.Context, arguments []string) error {
	var options []ketgate.Option
	if len(arguments) > 0 {
		options = append(options, ketgate.WithReadyFile(arguments[0]))
	}
	client, err := ketgate.Connect(ctx, options...)
	if err != nil {
		return err
	}
	defer client.Close()

	spec, err := problem()
	if err != nil {
		return err
	}
	var result *optimizationv1.SolveResult
	for event, err := range client.SolveStream(ctx, spec) {
		if err != nil {
			return err
		}
		if found := event.GetIncumbent(); found != nil {
			fmt.Printf("%8.1f ms  variance %.6f  by %s\n", found.GetElapsed().AsDuration().Seconds()*1e3,
				found.GetSolution().GetObjective(), found.GetSolver())
		}
		if event.GetResult() != nil {
			result = event.GetResult()
		}
	}
	return report(result)
}

// problem is the portfolio to find: fully invested, long only, at most four names, none below 5 % or above 40 %.
func problem() (*optimizationv1.SolveSpec, error) {
	n := len(names)
	covariance := make([][]float64, n)
	for i := range covariance {
		covariance[i] = make([]float64, n)
		for j := range covariance[i] {
			covariance[i][j] = loading(i) * loading(j) * marketVolatility * marketVolatility
			if i == j {
				covariance[i][i] = volatilities[i] * volatilities[i]
			}
		}
	}
	matrix, err := ketgate.Matrix(covariance)
	if err != nil {
		return nil, err
	}
	spec := ketgate.Portfolio(&optimizationv1.PortfolioProblem{
		Names: names,
		Model: &optimizationv1.PortfolioProblem_Moments{Moments: &optimizationv1.Moments{
			ExpectedReturns: ketgate.Float64s(returns),
			Covariance:      matrix,
		}},
		Objective: &optimizationv1.PortfolioObjective{
			Kind: &optimizationv1.PortfolioObjective_MinimumVariance{MinimumVariance: &optimizationv1.MinimumVariance{}},
		},
		Constraints: &optimizationv1.PortfolioConstraints{
			Upper:       ketgate.Float64s([]float64{0.4}),
			Cardinality: &optimizationv1.Cardinality{NamesMax: namesHeld, PositionMin: 0.05},
		},
	}, 5*time.Second)
	seed := uint64(1)
	spec.Seed = &seed
	return spec, nil
}

func loading(i int) float64 { return 0.6 + 0.05*float64(i) }

// report prints the portfolio. A result need not have one: infeasible is a result, too.
func report(result *optimizationv1.SolveResult) error {
	if len(result.GetSolutions()) == 0 {
		return fmt.Errorf("no portfolio: %v", result.GetStatus())
	}
	best := result.GetSolutions()[0]
	weights, err := ketgate.ToFloat64s(best.GetValues())
	if err != nil {
		return err
	}
	figures := best.GetPortfolio()
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintf(table, "\nstatus\t%v\n", result.GetStatus())
	fmt.Fprintf(table, "solver\t%s\n", result.GetSolver())
	fmt.Fprintf(table, "variance\t%.6f\n", result.GetObjective())
	fmt.Fprintf(table, "proven bound\t%.6f\n", result.GetBound())
	fmt.Fprintf(table, "volatility\t%.2f %%\n", 100*figures.GetVolatility())
	fmt.Fprintf(table, "expected return\t%.2f %%\n", 100*figures.GetExpectedReturn())
	fmt.Fprintf(table, "time\t%v\n\n", result.GetTime().GetTotal().AsDuration())
	for i, weight := range weights {
		if weight != 0 {
			fmt.Fprintf(table, "%s\t%.2f %%\n", names[i], 100*weight)
		}
	}
	return table.Flush()
}
