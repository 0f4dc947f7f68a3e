package ui

import (
	"net/http"
	"strings"
	"time"
)

// preferences keeps how a viewer wants pages to look, in a cookie.
func (p *pages) preferences(w http.ResponseWriter, r *http.Request) error {
	form := postOf(r)
	theme := form.choice("theme", "system", "light", "dark")
	if err := form.err(); err != nil {
		return err
	}
	cookie := &http.Cookie{Name: themeCookie, Value: theme, Path: "/", MaxAge: int((400 * 24 * time.Hour).Seconds()), HttpOnly: true,
		Secure: strings.HasPrefix(p.cfg.PublicURL, "https:"), SameSite: http.SameSiteLaxMode}
	if theme == "system" || theme == "" {
		cookie.MaxAge = -1
	}
	http.SetCookie(w, cookie)
	http.Redirect(w, r, returnPath(r.PostForm.Get("back")), http.StatusSeeOther)
	return nil
}
