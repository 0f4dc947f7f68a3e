package report

import (
	"fmt"
	"strings"
	"sync"

	"golang.org/x/image/font/gofont/gobold"
	"golang.org/x/image/font/gofont/gomono"
	"golang.org/x/image/font/gofont/goregular"
	"golang.org/x/image/font/sfnt"
)

// The Go fonts have the characters of WGL4: Latin, Greek and Cyrillic
// (go.dev/blog/go-fonts).
var regularFont, boldFont, monoFont = goregular.TTF, gobold.TTF, gomono.TTF

// glyphs knows which characters the fonts have. It is safe for concurrent use.
type glyphs struct {
	fonts []*sfnt.Font
	// buffers are for one goroutine at a time.
	buffers sync.Pool
}

var loadGlyphs = sync.OnceValues(func() (*glyphs, error) {
	g := &glyphs{buffers: sync.Pool{New: func() any { return &sfnt.Buffer{} }}}
	for _, ttf := range [][]byte{regularFont, boldFont, monoFont} {
		font, err := sfnt.Parse(ttf)
		if err != nil {
			return nil, fmt.Errorf("reading an embedded font: %w", err)
		}
		g.fonts = append(g.fonts, font)
	}
	return g, nil
})

// text is what can be printed of a text: characters that a font lacks are
// written as their code points, [U+4E2D].
func (g *glyphs) text(text string) string {
	if isASCII(text) {
		return text
	}
	var out strings.Builder
	for _, r := range text {
		if r < 0x80 || g.has(r) {
			out.WriteRune(r)
			continue
		}
		fmt.Fprintf(&out, "[%U]", r)
	}
	return out.String()
}

func isASCII(text string) bool {
	return strings.IndexFunc(text, func(r rune) bool { return r >= 0x80 }) < 0
}

func (g *glyphs) has(r rune) bool {
	// The writer of fonts keeps the first plane alone.
	if r > 0xFFFF {
		return false
	}
	buffer := g.buffers.Get().(*sfnt.Buffer)
	defer g.buffers.Put(buffer)
	for _, font := range g.fonts {
		if index, err := font.GlyphIndex(buffer, r); err != nil || index == 0 {
			return false
		}
	}
	return true
}
