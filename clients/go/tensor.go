package ketgate

import (
	"encoding/binary"
	"fmt"
	"math"

	typev1 "ketgate.dev/clients/go/gen/ketgate/type/v1"
)

// Float64s makes a tensor of 64-bit floats; without extents it has one dimension. It copies.
func Float64s(values []float64, shape ...int) *typev1.Tensor {
	raw := make([]byte, 8*len(values))
	for i, value := range values {
		binary.LittleEndian.PutUint64(raw[8*i:], math.Float64bits(value))
	}
	return tensor(typev1.DataType_DATA_TYPE_FLOAT64, raw, len(values), shape)
}

// Int64s makes a tensor of 64-bit integers; without extents it has one dimension. It copies.
func Int64s(values []int64, shape ...int) *typev1.Tensor {
	raw := make([]byte, 8*len(values))
	for i, value := range values {
		binary.LittleEndian.PutUint64(raw[8*i:], uint64(value))
	}
	return tensor(typev1.DataType_DATA_TYPE_INT64, raw, len(values), shape)
}

// Matrix makes a tensor of a matrix given by its rows, which must be equally long.
func Matrix(rows [][]float64) (*typev1.Tensor, error) {
	if len(rows) == 0 {
		return Float64s(nil, 0, 0), nil
	}
	columns := len(rows[0])
	flat := make([]float64, 0, len(rows)*columns)
	for i, row := range rows {
		if len(row) != columns {
			return nil, fmt.Errorf("ketgate: row %d has %d columns, row 0 has %d", i, len(row), columns)
		}
		flat = append(flat, row...)
	}
	return Float64s(flat, len(rows), columns), nil
}

func tensor(kind typev1.DataType, raw []byte, count int, shape []int) *typev1.Tensor {
	extents := make([]int64, 0, max(1, len(shape)))
	for _, extent := range shape {
		extents = append(extents, int64(extent))
	}
	if len(shape) == 0 {
		extents = append(extents, int64(count))
	}
	return &typev1.Tensor{Dtype: kind, Shape: extents, Values: &typev1.Tensor_Data{Data: raw}}
}

// ToFloat64s are the elements of a tensor of any type, in C order. Integers beyond 2^53 are rounded. No tensor: none.
func ToFloat64s(t *typev1.Tensor) ([]float64, error) {
	return elements(t, func(v int64) float64 { return float64(v) }, func(v float64) (float64, error) { return v, nil })
}

// ToInt64s are the elements of a tensor of whole numbers, in C order: spins, binaries, lots.
func ToInt64s(t *typev1.Tensor) ([]int64, error) {
	return elements(t, func(v int64) int64 { return v }, func(v float64) (int64, error) {
		if v != math.Trunc(v) || math.Abs(v) > 1<<53 {
			return 0, fmt.Errorf("ketgate: %v is no whole number", v)
		}
		return int64(v), nil
	})
}

// elements reads every form that a tensor can have.
func elements[T any](t *typev1.Tensor, whole func(int64) T, real func(float64) (T, error)) ([]T, error) {
	switch values := t.GetValues().(type) {
	case nil:
		return nil, nil
	case *typev1.Tensor_Doubles:
		return reals(values.Doubles.GetValues(), real)
	case *typev1.Tensor_Integers:
		out := make([]T, len(values.Integers.GetValues()))
		for i, value := range values.Integers.GetValues() {
			out[i] = whole(value)
		}
		return out, nil
	}
	size := elementBytes[t.GetDtype()]
	raw := t.GetData()
	if size == 0 {
		return nil, fmt.Errorf("ketgate: a tensor of unknown type %v", t.GetDtype())
	}
	if len(raw)%size != 0 || !fills(t.GetShape(), len(raw)/size) {
		return nil, fmt.Errorf("ketgate: a tensor of shape %v and type %v with %d bytes", t.GetShape(), t.GetDtype(), len(raw))
	}
	out := make([]T, len(raw)/size)
	for i := range out {
		value, err := element(t.GetDtype(), raw[i*size:], whole, real)
		if err != nil {
			return nil, err
		}
		out[i] = value
	}
	return out, nil
}

func reals[T any](values []float64, real func(float64) (T, error)) ([]T, error) {
	out := make([]T, len(values))
	for i, value := range values {
		read, err := real(value)
		if err != nil {
			return nil, err
		}
		out[i] = read
	}
	return out, nil
}

// fills tells whether a shape has that many elements. Extents are compared step by step: their product may overflow.
func fills(shape []int64, count int) bool {
	product := int64(1)
	for _, extent := range shape {
		if extent < 0 {
			return false
		}
		if extent == 0 {
			return count == 0
		}
		if product > int64(count)/extent {
			return false
		}
		product *= extent
	}
	return product == int64(count)
}

var elementBytes = map[typev1.DataType]int{
	typev1.DataType_DATA_TYPE_FLOAT64: 8,
	typev1.DataType_DATA_TYPE_FLOAT32: 4,
	typev1.DataType_DATA_TYPE_INT64:   8,
	typev1.DataType_DATA_TYPE_INT32:   4,
	typev1.DataType_DATA_TYPE_INT8:    1,
	typev1.DataType_DATA_TYPE_UINT8:   1,
}

func element[T any](kind typev1.DataType, raw []byte, whole func(int64) T, real func(float64) (T, error)) (T, error) {
	switch kind {
	case typev1.DataType_DATA_TYPE_FLOAT64:
		return real(math.Float64frombits(binary.LittleEndian.Uint64(raw)))
	case typev1.DataType_DATA_TYPE_FLOAT32:
		return real(float64(math.Float32frombits(binary.LittleEndian.Uint32(raw))))
	case typev1.DataType_DATA_TYPE_INT64:
		return whole(int64(binary.LittleEndian.Uint64(raw))), nil
	case typev1.DataType_DATA_TYPE_INT32:
		return whole(int64(int32(binary.LittleEndian.Uint32(raw)))), nil
	case typev1.DataType_DATA_TYPE_INT8:
		return whole(int64(int8(raw[0]))), nil
	default: // UINT8: elementBytes has no other
		return whole(int64(raw[0])), nil
	}
}
