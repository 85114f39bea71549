// Package assert stands in for testify's in the tests of benchmarks: the same meaning, none of the weight.
package assert

import (
	"bytes"
	"math"
	"reflect"
)

// TestingT is what a failure is told to.
type TestingT interface {
	Errorf(format string, args ...interface{})
}

// Assertions are bound to one test.
type Assertions struct{ t TestingT }

// New binds assertions to a test.
func New(t TestingT) *Assertions { return &Assertions{t} }

// ObjectsAreEqual is deep equality, of byte slices by their bytes.
func ObjectsAreEqual(expected, actual interface{}) bool {
	if expected == nil || actual == nil {
		return expected == actual
	}
	exp, ok := expected.([]byte)
	if !ok {
		return reflect.DeepEqual(expected, actual)
	}
	act, ok := actual.([]byte)
	if !ok {
		return false
	}
	if exp == nil || act == nil {
		return exp == nil && act == nil
	}
	return bytes.Equal(exp, act)
}

func isNil(object interface{}) bool {
	if object == nil {
		return true
	}
	value := reflect.ValueOf(object)
	switch value.Kind() {
	case reflect.Chan, reflect.Func, reflect.Interface, reflect.Map, reflect.Ptr, reflect.Slice:
		return value.IsNil()
	}
	return false
}

func fail(t TestingT, holds bool, format string, args ...interface{}) bool {
	if !holds {
		t.Errorf(format, args...)
	}
	return holds
}

func isFunc(object interface{}) bool {
	return object != nil && reflect.TypeOf(object).Kind() == reflect.Func
}

// Equal asserts that two values are equal; functions never are.
func Equal(t TestingT, expected, actual interface{}, words ...interface{}) bool {
	holds := !isFunc(expected) && !isFunc(actual) && ObjectsAreEqual(expected, actual)
	return fail(t, holds, "Not equal: expected %#v, actual %#v", expected, actual)
}

// NotEqual asserts the opposite of Equal.
func NotEqual(t TestingT, expected, actual interface{}, words ...interface{}) bool {
	holds := !isFunc(expected) && !isFunc(actual) && !ObjectsAreEqual(expected, actual)
	return fail(t, holds, "Should not be: %#v", actual)
}

// True asserts that a value is true.
func True(t TestingT, value bool, words ...interface{}) bool {
	return fail(t, value, "Should be true")
}

// False asserts that a value is false.
func False(t TestingT, value bool, words ...interface{}) bool {
	return fail(t, !value, "Should be false")
}

// Nil asserts that a value is nil.
func Nil(t TestingT, object interface{}, words ...interface{}) bool {
	return fail(t, isNil(object), "Expected nil, but got: %#v", object)
}

// NotNil asserts that a value is not nil.
func NotNil(t TestingT, object interface{}, words ...interface{}) bool {
	return fail(t, !isNil(object), "Expected value not to be nil.")
}

// InDelta asserts that two numbers differ by at most delta.
func InDelta(t TestingT, expected, actual float64, delta float64, words ...interface{}) bool {
	holds := math.Abs(expected-actual) <= delta || math.IsNaN(expected) && math.IsNaN(actual)
	return fail(t, holds, "Max difference between %v and %v allowed is %v", expected, actual, delta)
}

// Equal asserts that two values are equal.
func (a *Assertions) Equal(expected, actual interface{}, words ...interface{}) bool {
	return Equal(a.t, expected, actual, words...)
}

// NotEqual asserts that two values are not equal.
func (a *Assertions) NotEqual(expected, actual interface{}, words ...interface{}) bool {
	return NotEqual(a.t, expected, actual, words...)
}

// True asserts that a value is true.
func (a *Assertions) True(value bool, words ...interface{}) bool { return True(a.t, value, words...) }

// False asserts that a value is false.
func (a *Assertions) False(value bool, words ...interface{}) bool { return False(a.t, value, words...) }

// Nil asserts that a value is nil.
func (a *Assertions) Nil(object interface{}, words ...interface{}) bool { return Nil(a.t, object, words...) }

// NotNil asserts that a value is not nil.
func (a *Assertions) NotNil(object interface{}, words ...interface{}) bool {
	return NotNil(a.t, object, words...)
}

// InDelta asserts that two numbers differ by at most delta.
func (a *Assertions) InDelta(expected, actual, delta float64, words ...interface{}) bool {
	return InDelta(a.t, expected, actual, delta, words...)
}
