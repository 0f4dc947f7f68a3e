//go:build race

package main

// raceDetector makes the daemon of scripts many times slower.
const raceDetector = true
