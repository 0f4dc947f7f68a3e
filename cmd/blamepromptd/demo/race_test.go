//go:build race

package demo

// raceDetector makes a demo take minutes.
const raceDetector = true
