// Package httpapi answers HTTP: the REST API under /api/v1, webhooks, the
// git-ai notes backend, what the stock client asks, health and metrics.
//
// It owns openapi.yaml, from which the routes and the shapes of bodies are
// generated, and the table of what each operation needs. One file per resource.
//
// Promises: an operation that the table does not name cannot be served; what a
// key sees and changes lies within its organisation; input is checked against
// openapi.yaml before a handler sees it, and what is refused is named; nothing
// that a client sends makes a 5xx.
package httpapi

//go:generate go tool oapi-codegen -config oapi-codegen.yaml openapi.yaml
