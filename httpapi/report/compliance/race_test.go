//go:build race

package compliance_test

// raceDetector makes a demo take minutes.
const raceDetector = true
