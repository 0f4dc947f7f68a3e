package forge

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
)

// maxDepth is several times what any forge nests, maxCloneURLs what it lists.
const (
	maxDepth     = 64
	maxCloneURLs = 16
)

// decode reads one JSON object into v and names the field that does not fit.
// Unknown fields are ignored.
func decode(body []byte, v any) error {
	if deeperThan(body, maxDepth) {
		return bodyError("body", fmt.Sprintf("nested deeper than %d levels", maxDepth))
	}
	return namedError(json.Unmarshal(body, v), "")
}

// decodeList reads a JSON array at field, of at most MaxUpdates elements. A
// missing array or null is an empty one.
func decodeList[T any](raw json.RawMessage, field string) ([]T, error) {
	if len(raw) == 0 || string(raw) == "null" {
		return nil, nil
	}
	if raw[0] != '[' {
		return nil, bodyError(field, "expected array")
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	if _, err := dec.Token(); err != nil {
		return nil, namedError(err, field)
	}
	var list []T
	for dec.More() {
		at := fmt.Sprintf("%s[%d]", field, len(list))
		if len(list) == MaxUpdates {
			return nil, bodyError(at, fmt.Sprintf("more than %d ref updates", MaxUpdates))
		}
		var element T
		if err := dec.Decode(&element); err != nil {
			return nil, namedError(err, at)
		}
		list = append(list, element)
	}
	return list, nil
}

// namedError turns an error of encoding/json into a *FieldError; at is the
// path of the value that was decoded.
func namedError(err error, at string) error {
	var wrongType *json.UnmarshalTypeError
	var syntax *json.SyntaxError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &wrongType):
		field := strings.Trim(at+"."+wrongType.Field, ".")
		got, _, _ := strings.Cut(wrongType.Value, " ")
		return bodyError(orBody(field), "expected "+jsonType(wrongType.Type)+", got "+got)
	case errors.As(err, &syntax):
		return bodyError(orBody(at), fmt.Sprintf("not valid JSON at byte %d", syntax.Offset))
	}
	return bodyError(orBody(at), "not valid JSON")
}

func orBody(field string) string {
	if field == "" {
		return "body"
	}
	return field
}

func jsonType(t reflect.Type) string {
	if t.Kind() == reflect.String {
		return "string"
	}
	return "object"
}

// deeperThan counts brackets outside strings; what is not JSON is left for the
// decoder to refuse.
func deeperThan(body []byte, limit int) bool {
	depth, inString, escaped := 0, false, false
	for _, c := range body {
		switch {
		case escaped:
			escaped = false
		case inString:
			escaped = c == '\\'
			inString = c != '"'
		case c == '"':
			inString = true
		case c == '{' || c == '[':
			depth++
		case c == '}' || c == ']':
			depth--
		}
		if depth > limit {
			return true
		}
	}
	return false
}

// field is a value of the body and the path by which an error names it.
type field struct{ path, value string }

// newUpdate checks the parts of a ref update. Ids may be empty where the
// format leaves them out; the caller checks where they are required.
func newUpdate(ref, old, new field) (Update, error) {
	if err := checkRef(ref); err != nil {
		return Update{}, err
	}
	u := Update{Ref: ref.value, Old: strings.ToLower(old.value), New: strings.ToLower(new.value)}
	if !objectID(u.Old) {
		return Update{}, bodyError(old.path, "not an object id")
	}
	if !objectID(u.New) {
		return Update{}, bodyError(new.path, "not an object id")
	}
	if u.Old != "" && u.New != "" && len(u.Old) != len(u.New) {
		return Update{}, bodyError(new.path, "an id of another hash function than "+old.path)
	}
	return u, nil
}

func checkRef(ref field) error {
	switch {
	case ref.value == "":
		return bodyError(ref.path, "missing")
	case !strings.HasPrefix(ref.value, "refs/") || !validRefName(ref.value):
		return bodyError(ref.path, "not a full ref name")
	}
	return nil
}

func required(fields ...field) error {
	for _, f := range fields {
		if f.value == "" {
			return bodyError(f.path, "missing")
		}
	}
	return nil
}

// objectID accepts a SHA-1 or SHA-256 id in lower-case hex, and none at all.
func objectID(id string) bool {
	if len(id) != 0 && len(id) != 40 && len(id) != 64 {
		return false
	}
	return strings.Trim(id, "0123456789abcdef") == ""
}

// nullID returns the null id of the hash function that made the other id.
func nullID(other string) string {
	if len(other) == 64 {
		return strings.Repeat("0", 64)
	}
	return strings.Repeat("0", 40)
}

// setRepository fills in where the pushed repository is. path names the object
// of the body that was read for it.
func (d *Delivery) setRepository(path, fullName string, urls ...string) error {
	if len(fullName) > maxFullName {
		return bodyError(path, "name is too long")
	}
	d.FullName = strings.Trim(cleanText(fullName, maxFullName), "/ ")
	for _, raw := range urls {
		d.addURL(raw)
	}
	if d.FullName == "" && len(d.CloneURLs) == 0 {
		return bodyError(path, "no name and no usable URL")
	}
	return nil
}

func (d *Delivery) addURL(raw string) {
	address := withoutSecrets(raw)
	if address == "" || len(d.CloneURLs) == maxCloneURLs {
		return
	}
	for _, known := range d.CloneURLs {
		if known == address {
			return
		}
	}
	d.CloneURLs = append(d.CloneURLs, address)
}
