// Package hooks is the push boundary inside of a git server: what a
// pre-receive or post-receive hook reads, collects, asks and says.
//
// It owns the reading of the hook's input (ReadUpdates, ReadEnvironment), the
// facts about a push that leave the server (Push, Collect), the way to the
// daemon (Client, Relay), the text that a pusher reads (Answer, message.go), a
// whole run of a hook (RunHook), and the hook files in repositories (Install,
// Inspect). It decides nothing: the daemon does, or, when nobody can be asked,
// the mode that was written down before.
//
// Promises: nothing of a push, an environment or an answer is trusted; sizes,
// counts and time are bounded, and what was left out because of a bound is
// said to be missing, never counted as absent. Nothing is written to a
// repository but by Install. Prompt texts never leave the server. A Push is
// a value of its own format with a version, which older and newer programs
// read.
package hooks
