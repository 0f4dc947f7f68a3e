//go:build race

package demo

// raceDetector makes the daemon of scripts many times slower.
const raceDetector = true
