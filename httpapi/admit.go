package httpapi

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/gorilla/mux"

	"github.com/blameprompt/enterprise/httpapi/auth"
	"github.com/blameprompt/enterprise/httpapi/respond"
)

// admit lets a request through to its operation: who asks, whether they may,
// and whether what they say is what openapi.yaml describes, in this order.
func (s *server) admit(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		op, err := s.operationOf(r)
		if err != nil {
			respond.Error(w, r, err)
			return
		}
		ctx, cancel := context.WithTimeout(r.Context(), op.timeoutOf(r))
		defer cancel()
		r = r.WithContext(ctx)
		if r, err = s.identify(op, r); err == nil {
			r, err = op.checkTarget(r)
		}
		if err != nil {
			s.metrics.refuse(err)
			respond.Error(w, r, err)
			return
		}
		release, err := s.admitBody(op, w, r)
		if err != nil {
			respond.Error(w, r, err)
			return
		}
		defer release()
		next.ServeHTTP(w, r)
	})
}

func (s *server) operationOf(r *http.Request) (*operation, error) {
	template, err := mux.CurrentRoute(r).GetPathTemplate()
	if err != nil {
		return nil, fmt.Errorf("finding the operation of %s: %w", r.URL.Path, err)
	}
	op, ok := s.ops[r.Method+" "+template]
	if !ok {
		return nil, fmt.Errorf("route %s %s is no operation of openapi.yaml", r.Method, template)
	}
	respond.ExchangeOf(r.Context()).Route = template
	return op, nil
}

// identify authenticates and authorises; the request it returns carries the
// principal.
func (s *server) identify(op *operation, r *http.Request) (*http.Request, error) {
	if op.need.isPublic() {
		return r, nil
	}
	if local, ok := r.Context().Value(peerKey{}).(peer); ok {
		return s.identifyPeer(local, op, r)
	}
	p, err := s.guard.Authenticate(r)
	if err != nil {
		return r, err
	}
	respond.ExchangeOf(r.Context()).Principal = p.Name
	return r.WithContext(auth.With(r.Context(), p)), op.need.check(p)
}

// checkTarget checks the parameters. The router matched the escaped path, in
// which a name may hold a slash; operations get names as they are.
func (op *operation) checkTarget(r *http.Request) (*http.Request, error) {
	vars := map[string]string{}
	for name, escaped := range mux.Vars(r) {
		value, err := url.PathUnescape(escaped)
		if err != nil {
			return r, respond.InvalidField(name, "must be percent-encoded")
		}
		vars[name] = value
	}
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return r, respond.InvalidField("query", "must be name=value pairs joined by &, percent-encoded")
	}
	return mux.SetURLVars(r, vars), op.checkParams(vars, query, r.Header)
}

// admitBody bounds the body, and reads and checks it if the operation takes
// JSON. release gives back the memory that a large body may take.
func (s *server) admitBody(op *operation, w http.ResponseWriter, r *http.Request) (release func(), err error) {
	r.Body = http.MaxBytesReader(w, r.Body, op.maxBody)
	release = func() {}
	if op.maxBody > usualBody && r.Method == http.MethodPost {
		weight := op.maxBody
		if r.ContentLength >= 0 && r.Header.Get("Content-Encoding") == "" {
			weight = min(weight, r.ContentLength)
		}
		if err := s.bodies.Acquire(r.Context(), weight); err != nil {
			return nil, err
		}
		release = func() { s.bodies.Release(weight) }
	}
	if op.body != nil {
		err = op.readJSON(r)
	}
	if err != nil {
		release()
		return nil, err
	}
	return release, nil
}

// readJSON reads the body, checks it against its schema and puts it back.
func (op *operation) readJSON(r *http.Request) error {
	if err := wantJSON(r.Header); err != nil {
		return err
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return readError(err)
	}
	var value any
	if err := json.Unmarshal(body, &value); err != nil {
		return respond.InvalidField("body", notJSON(err))
	}
	if bad := checkValue(op.body, value); len(bad) > 0 {
		return respond.Invalid(bad...)
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	return nil
}

func wantJSON(h http.Header) error {
	media, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	if err != nil || media != "application/json" {
		return &respond.Problem{Status: http.StatusUnsupportedMediaType, Code: "unsupported_media_type",
			Fields: []respond.Field{{Field: "Content-Type", Problem: "must be application/json"}}}
	}
	return nil
}

func notJSON(err error) string {
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		return "is not JSON: it goes wrong at byte " + strconv.FormatInt(syntax.Offset, 10)
	}
	return "is not JSON"
}

// readError tells a body that was cut off or is too large from our own faults.
func readError(err error) error {
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge), errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return err
	}
	return fmt.Errorf("%w (%w)", respond.InvalidField("body", "could not be read to its end"), err)
}

// checkValue checks a JSON value against its schema and names each part that
// does not fit by its path.
func checkValue(schema *openapi3.Schema, value any) []respond.Field {
	var bad []respond.Field
	if err := schema.VisitJSON(value, openapi3.MultiErrors()); err != nil {
		bad = schemaFields(err)
	}
	bad = append(bad, unknownFields(schema, "", value)...)
	return append(bad, nulFields("", value)...)
}

// unknownFields finds members that a closed schema does not have. The checker
// finds them too but does not say where.
func unknownFields(schema *openapi3.Schema, path string, value any) []respond.Field {
	members, ok := value.(map[string]any)
	if !ok || schema.AdditionalProperties.Has == nil || *schema.AdditionalProperties.Has {
		return nil
	}
	var bad []respond.Field
	for _, name := range slices.Sorted(maps.Keys(members)) {
		at := strings.TrimPrefix(path+"."+shorten(name), ".")
		if known, ok := schema.Properties[name]; ok {
			bad = append(bad, unknownFields(known.Value, at, members[name])...)
			continue
		}
		bad = append(bad, respond.Field{Field: at, Problem: "is not a member that this operation knows"})
	}
	return bad
}

func schemaFields(err error) []respond.Field {
	var many openapi3.MultiError
	var one *openapi3.SchemaError
	switch {
	case errors.As(err, &many):
		var out []respond.Field
		for _, e := range many {
			out = append(out, schemaFields(e)...)
		}
		return out
	case errors.As(err, &one) && one.SchemaField == "properties":
		return nil
	case errors.As(err, &one):
		return []respond.Field{{Field: pathOf(one.JSONPointer()), Problem: shorten(one.Reason)}}
	}
	return []respond.Field{{Field: "body", Problem: "does not fit its schema"}}
}

// pathOf writes a path into a body as "a.b[0]".
func pathOf(pointer []string) string {
	var b strings.Builder
	for _, part := range pointer {
		if _, err := strconv.Atoi(part); err == nil {
			b.WriteString("[" + part + "]")
			continue
		}
		if b.Len() > 0 {
			b.WriteByte('.')
		}
		b.WriteString(shorten(part))
	}
	if b.Len() == 0 {
		return "body"
	}
	return b.String()
}

// nulFields finds strings with U+0000, which PostgreSQL does not take.
func nulFields(path string, value any) []respond.Field {
	var bad []respond.Field
	switch v := value.(type) {
	case string:
		if strings.ContainsRune(v, 0) {
			bad = append(bad, respond.Field{Field: path, Problem: "must not hold U+0000"})
		}
	case []any:
		for i, element := range v {
			bad = append(bad, nulFields(path+"["+strconv.Itoa(i)+"]", element)...)
		}
	case map[string]any:
		for name, element := range v {
			bad = append(bad, nulFields(strings.TrimPrefix(path+"."+shorten(name), "."), element)...)
		}
	}
	return bad
}

// readBody reads a bounded body, inflating it under the same bound.
func readBody(body io.Reader, encoding string, limit int64) ([]byte, error) {
	switch strings.ToLower(strings.TrimSpace(encoding)) {
	case "", "identity":
	case "gzip":
		inflated, err := gzip.NewReader(body)
		if err != nil {
			return nil, readError(err)
		}
		body = inflated
	default:
		return nil, &respond.Problem{Status: http.StatusUnsupportedMediaType, Code: "unsupported_encoding",
			Fields: []respond.Field{{Field: "Content-Encoding", Problem: "must be gzip or none"}}}
	}
	out, err := io.ReadAll(io.LimitReader(body, limit+1))
	if err != nil {
		return nil, readError(err)
	}
	if int64(len(out)) > limit {
		return nil, &http.MaxBytesError{Limit: limit}
	}
	return out, nil
}
