package respond

import "net/http"

// File makes an answer a file with the first byte that is written to it: what fails
// before can be told in another form. Not for concurrent use.
type File struct {
	W               http.ResponseWriter
	MediaType, Name string
	begun           bool
}

// Begun says whether anything was written.
func (f *File) Begun() bool { return f.begun }

// Write implements io.Writer.
func (f *File) Write(b []byte) (int, error) {
	if !f.begun {
		Attach(f.W.Header(), f.MediaType, f.Name)
		f.begun = true
	}
	return f.W.Write(b)
}

// Attach makes an answer a file that is saved under the name and not kept by caches.
func Attach(header http.Header, mediaType, name string) {
	header.Set("Content-Type", mediaType)
	header.Set("Content-Disposition", `attachment; filename="`+name+`"`)
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Cache-Control", "no-store")
}
