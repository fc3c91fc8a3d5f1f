package ketgate

import (
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	optimizationv1 "ketgate.dev/clients/go/gen/ketgate/optimization/v1"
	typev1 "ketgate.dev/clients/go/gen/ketgate/type/v1"
)

// Term is one coefficient of a quadratic function: Value times variable I times variable J.
type Term struct {
	I, J  int
	Value float64
}

// Portfolio is the spec of a portfolio problem. Whatever else a spec has, as a seed, is set on its fields.
func Portfolio(problem *optimizationv1.PortfolioProblem, timeLimit time.Duration) *optimizationv1.SolveSpec {
	return &optimizationv1.SolveSpec{
		Problem:   &optimizationv1.SolveSpec_Portfolio{Portfolio: problem},
		TimeLimit: durationpb.New(timeLimit),
	}
}

// Qubo is the spec that minimises sum_i linear[i] x_i + sum of terms over binaries x. Each unordered pair may be given
// once; a term with I = J is linear, as x^2 = x.
func Qubo(linear []float64, terms []Term, timeLimit time.Duration) *optimizationv1.SolveSpec {
	problem := &typev1.Qubo{
		NumVariables: int64(len(linear)),
		Linear:       Float64s(linear),
		Quadratic:    sparse(terms),
	}
	return &optimizationv1.SolveSpec{
		Problem:   &optimizationv1.SolveSpec_Qubo{Qubo: problem},
		TimeLimit: durationpb.New(timeLimit),
	}
}

// Ising is the spec that minimises sum_i fields[i] s_i + sum of couplings over spins s of -1 and +1. Each unordered
// pair may be given once, and none with I = J.
func Ising(fields []float64, couplings []Term, timeLimit time.Duration) *optimizationv1.SolveSpec {
	problem := &typev1.Ising{
		NumSpins:  int64(len(fields)),
		Linear:    Float64s(fields),
		Quadratic: sparse(couplings),
	}
	return &optimizationv1.SolveSpec{
		Problem:   &optimizationv1.SolveSpec_Ising{Ising: problem},
		TimeLimit: durationpb.New(timeLimit),
	}
}

// sparse is the coordinate form of terms; nil without any.
func sparse(terms []Term) *typev1.SparseMatrix {
	if len(terms) == 0 {
		return nil
	}
	rows, columns := make([]int64, len(terms)), make([]int64, len(terms))
	values := make([]float64, len(terms))
	for k, term := range terms {
		rows[k], columns[k], values[k] = int64(term.I), int64(term.J), term.Value
	}
	return &typev1.SparseMatrix{Row: Int64s(rows), Column: Int64s(columns), Value: Float64s(values)}
}
