//go:build !race

package compliance_test

const raceDetector = false
