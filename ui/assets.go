package ui

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strings"
	"time"

	"github.com/gorilla/mux"
)

//go:generate ./style/build

//go:embed static
var staticFiles embed.FS

// assets are the files below static by their names.
type assets map[string]file

// file is a file whose address changes with its content, so that browsers may
// keep it for ever.
type file struct {
	content   []byte
	hash      string
	mediaType string
}

// mediaTypes are those that the system's table may lack.
var mediaTypes = map[string]string{".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8",
	".woff2": "font/woff2", ".svg": "image/svg+xml", ".txt": "text/plain; charset=utf-8"}

// readAssets reads the files. The style names the fonts by their addresses, so
// it is hashed last.
func readAssets() (assets, error) {
	out := assets{}
	names, err := fs.Glob(staticFiles, "static/*")
	if err != nil {
		return nil, err
	}
	for _, file := range names {
		content, err := staticFiles.ReadFile(file)
		if err != nil {
			return nil, err
		}
		out.add(path.Base(file), content)
	}
	style := out["style.css"].content
	for name := range out {
		if strings.HasSuffix(name, ".woff2") {
			style = bytes.ReplaceAll(style, []byte("/static/"+name), []byte(out.url(name)))
		}
	}
	out.add("style.css", style)
	return out, nil
}

func (a assets) add(name string, content []byte) {
	sum := sha256.Sum256(content)
	mediaType, ok := mediaTypes[path.Ext(name)]
	if !ok {
		mediaType = mime.TypeByExtension(path.Ext(name))
	}
	a[name] = file{content: content, hash: hex.EncodeToString(sum[:8]), mediaType: mediaType}
}

// url is where a file is; a template that names one that is not there fails.
func (a assets) url(name string) string { return "/static/" + a[name].hash + "/" + name }

func (p *pages) asset(w http.ResponseWriter, r *http.Request) error {
	vars := mux.Vars(r)
	file, ok := p.assets[vars["name"]]
	if !ok || file.hash != vars["hash"] {
		return p.notFound(w, r)
	}
	header := w.Header()
	header.Set("Content-Type", file.mediaType)
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Cache-Control", "public, max-age=31536000, immutable")
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(file.content))
	return nil
}
