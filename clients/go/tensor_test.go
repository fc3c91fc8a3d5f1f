package ketgate

import (
	"math"
	"reflect"
	"testing"

	typev1 "ketgate.dev/clients/go/gen/ketgate/type/v1"
)

func TestFloatsSurviveTheWire(t *testing.T) {
	values := []float64{0, math.Copysign(0, -1), 1.5, -math.Pi, math.Inf(1), math.MaxFloat64, 5e-324}
	sent := Float64s(values)
	if !reflect.DeepEqual(sent.GetShape(), []int64{7}) || len(sent.GetData()) != 56 {
		t.Errorf("shape %v, %d bytes", sent.GetShape(), len(sent.GetData()))
	}
	got, err := ToFloat64s(sent)
	if err != nil {
		t.Fatal(err)
	}
	for i := range values {
		if math.Float64bits(got[i]) != math.Float64bits(values[i]) {
			t.Errorf("%v came back as %v", values[i], got[i])
		}
	}
	if nan, err := ToFloat64s(Float64s([]float64{math.NaN()})); err != nil || !math.IsNaN(nan[0]) {
		t.Errorf("NaN came back as %v, %v", nan, err)
	}
}

func TestBytesAreLittleEndian(t *testing.T) {
	if got := Float64s([]float64{1}).GetData(); !reflect.DeepEqual(got, []byte{0, 0, 0, 0, 0, 0, 0xf0, 0x3f}) {
		t.Errorf("1.0 is % x", got)
	}
	if got := Int64s([]int64{-2}).GetData(); !reflect.DeepEqual(got, []byte{0xfe, 255, 255, 255, 255, 255, 255, 255}) {
		t.Errorf("-2 is % x", got)
	}
}

func TestEveryElementTypeIsRead(t *testing.T) {
	raw := func(kind typev1.DataType, bytes ...byte) *typev1.Tensor {
		return &typev1.Tensor{Dtype: kind, Shape: []int64{1}, Values: &typev1.Tensor_Data{Data: bytes}}
	}
	for name, c := range map[string]struct {
		tensor *typev1.Tensor
		want   float64
	}{
		"float32":  {raw(typev1.DataType_DATA_TYPE_FLOAT32, 0, 0, 0x20, 0xc0), -2.5},
		"int32":    {raw(typev1.DataType_DATA_TYPE_INT32, 0xff, 0xff, 0xff, 0xff), -1},
		"int8":     {raw(typev1.DataType_DATA_TYPE_INT8, 0xff), -1},
		"uint8":    {raw(typev1.DataType_DATA_TYPE_UINT8, 0xff), 255},
		"int64":    {Int64s([]int64{-9}), -9},
		"doubles":  {&typev1.Tensor{Values: &typev1.Tensor_Doubles{Doubles: &typev1.DoubleArray{Values: []float64{7}}}}, 7},
		"integers": {&typev1.Tensor{Values: &typev1.Tensor_Integers{Integers: &typev1.Int64Array{Values: []int64{8}}}}, 8},
	} {
		got, err := ToFloat64s(c.tensor)
		if err != nil || len(got) != 1 || got[0] != c.want {
			t.Errorf("%s: got %v, %v", name, got, err)
		}
		whole, err := ToInt64s(c.tensor)
		if c.want == math.Trunc(c.want) && (err != nil || whole[0] != int64(c.want)) {
			t.Errorf("%s: got %v, %v", name, whole, err)
		}
		if c.want != math.Trunc(c.want) && err == nil {
			t.Errorf("%s: %v was taken as a whole number", name, c.want)
		}
	}
}

func TestTensorsThatDoNotFitAreRefused(t *testing.T) {
	for name, broken := range map[string]*typev1.Tensor{
		"no type":  {Shape: []int64{1}, Values: &typev1.Tensor_Data{Data: make([]byte, 8)}},
		"bytes":    {Dtype: typev1.DataType_DATA_TYPE_FLOAT64, Shape: []int64{1}, Values: &typev1.Tensor_Data{Data: make([]byte, 7)}},
		"shape":    {Dtype: typev1.DataType_DATA_TYPE_INT8, Shape: []int64{2, 2}, Values: &typev1.Tensor_Data{Data: make([]byte, 3)}},
		"overflow": {Dtype: typev1.DataType_DATA_TYPE_INT8, Shape: []int64{1 << 32, 1 << 32}, Values: &typev1.Tensor_Data{Data: nil}},
		"negative": {Dtype: typev1.DataType_DATA_TYPE_INT8, Shape: []int64{-1, -2}, Values: &typev1.Tensor_Data{Data: make([]byte, 2)}},
	} {
		if got, err := ToFloat64s(broken); err == nil {
			t.Errorf("%s: read as %v", name, got)
		}
	}
	if got, err := ToFloat64s(nil); got != nil || err != nil {
		t.Errorf("no tensor: %v, %v", got, err)
	}
}

func TestMatricesHaveRowsOfOneLength(t *testing.T) {
	made, err := Matrix([][]float64{{1, 2, 3}, {4, 5, 6}})
	if err != nil || !reflect.DeepEqual(made.GetShape(), []int64{2, 3}) {
		t.Fatalf("shape %v, %v", made.GetShape(), err)
	}
	if got, _ := ToFloat64s(made); !reflect.DeepEqual(got, []float64{1, 2, 3, 4, 5, 6}) {
		t.Errorf("elements %v", got)
	}
	if _, err := Matrix([][]float64{{1}, {2, 3}}); err == nil {
		t.Error("a ragged matrix was taken")
	}
}
