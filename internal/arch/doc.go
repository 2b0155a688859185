// Package arch holds the rules of who may import whom, each with its reason, and the tests that enforce them. It has no
// code: the rules stand in rules_test.go, what is broken is said by `go test ./internal/arch`.
//
// The rules are about the code that runs; tests may import what they like. A new package has to be given a layer there, a
// new dependency a line that says who may use it and why, else the test fails.
package arch
