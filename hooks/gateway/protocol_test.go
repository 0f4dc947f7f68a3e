package gateway

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/go-git/go-git/v5/plumbing/format/pktline"
	"github.com/google/go-cmp/cmp"

	"github.com/blameprompt/enterprise/notes/gitcmd"
)

// packed writes lines as pkt-lines; "" is a flush, and "raw:" begins bytes that
// stand as they are.
func packed(lines ...string) string {
	var out strings.Builder
	for _, line := range lines {
		switch raw, isRaw := strings.CutPrefix(line, "raw:"); {
		case isRaw:
			out.WriteString(raw)
		case line == "":
			out.WriteString("0000")
		default:
			fmt.Fprintf(&out, "%04x%s\n", len(line)+5, line)
		}
	}
	return out.String()
}

func oid(c string) string { return strings.Repeat(c, 40) }

const caps = "report-status report-status-v2 atomic ofs-delta object-format=sha1 agent=git/2.39"

func TestTheAdvertisementHidesNotes(t *testing.T) {
	t.Parallel()
	zero := string(gitcmd.ZeroOID)
	for name, c := range map[string]struct{ in, want []string }{
		"without notes": {
			[]string{oid("a") + " refs/heads/main\x00" + caps, oid("b") + " refs/tags/v1", "", "raw:PACK rest"},
			[]string{oid("a") + " refs/heads/main\x00" + caps, oid("b") + " refs/tags/v1", "", "raw:PACK rest"},
		},
		"notes in the middle": {
			[]string{oid("a") + " refs/heads/main\x00" + caps, oid("c") + " " + notesRef, oid("b") + " refs/tags/v1", ""},
			[]string{oid("a") + " refs/heads/main\x00" + caps, oid("1") + " .have", oid("2") + " .have", oid("b") + " refs/tags/v1", ""},
		},
		"notes first": {
			[]string{oid("c") + " " + notesRef + "\x00" + caps, oid("b") + " refs/tags/v1", ""},
			[]string{oid("1") + " .have\x00" + caps, oid("2") + " .have", oid("b") + " refs/tags/v1", ""},
		},
		"notes alone": {
			[]string{oid("c") + " " + notesRef + "\x00" + caps, ""},
			[]string{oid("1") + " .have\x00" + caps, oid("2") + " .have", ""},
		},
		"nothing": {
			[]string{zero + " capabilities^{}\x00" + caps, ""},
			[]string{zero + " capabilities^{}\x00" + caps, ""},
		},
		"version 1": {
			[]string{"version 1", oid("c") + " " + notesRef + "\x00" + caps, oid("d") + " .have", ""},
			[]string{"version 1", oid("1") + " .have\x00" + caps, oid("2") + " .have", oid("d") + " .have", ""},
		},
		"notes of another sort": {
			[]string{oid("a") + " refs/notes/blameprompt-x\x00" + caps, oid("b") + " refs/notes/commits", ""},
			[]string{oid("a") + " refs/notes/blameprompt-x\x00" + caps, oid("b") + " refs/notes/commits", ""},
		},
		"a shallow repository without refs": {
			[]string{zero + " capabilities^{}\x00" + caps, "shallow " + oid("e"), ""},
			[]string{zero + " capabilities^{}\x00" + caps, "shallow " + oid("e"), ""},
		},
		"an error": {[]string{"raw:0010ERR no room\n"}, []string{"raw:0010ERR no room\n"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := advertisement{hide: []string{notesRef}, haves: func(ref string, tip gitcmd.OID) ([]gitcmd.OID, error) {
				if ref != notesRef || string(tip) != oid("c") {
					t.Errorf("asked for what stands for %s at %s", ref, tip)
				}
				return []gitcmd.OID{gitcmd.OID(oid("1")), gitcmd.OID(oid("2"))}, nil
			}}
			var out strings.Builder
			if err := a.copy(&out, strings.NewReader(packed(c.in...))); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(packed(c.want...), out.String()); diff != "" {
				t.Errorf("handed on (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAnEmptyHistoryOfNotesLeavesTheCapabilities(t *testing.T) {
	t.Parallel()
	a := advertisement{hide: []string{notesRef}, haves: func(string, gitcmd.OID) ([]gitcmd.OID, error) { return nil, nil }}
	var out strings.Builder
	if err := a.copy(&out, strings.NewReader(packed(oid("c")+" "+notesRef+"\x00"+caps, ""))); err != nil {
		t.Fatal(err)
	}
	if want := packed(string(gitcmd.ZeroOID)+" capabilities^{}\x00"+caps, ""); out.String() != want {
		t.Errorf("handed on %q, want %q", out.String(), want)
	}
}

// badAdvertisements are none that git writes; nothing of them reaches a client.
var badAdvertisements = []string{
	"", "0000", "00", "zzzz", "0001", "0003", "0004", "fff1", "0010short", packed("nonsense"), packed(oid("a")),
	packed(oid("a") + " refs/heads/main\x00" + caps), packed("version 1"), packed("version 1", ""),
	packed("version 2", "agent=git", ""), packed(oid("a")+" refs/heads/main\x00"+caps, oid("g")+" refs/heads/x", ""),
	packed(oid("a")+" refs/heads/main\x00"+caps, "raw:0005"),
}

func TestWhatIsNoAdvertisementIsNotHandedOn(t *testing.T) {
	t.Parallel()
	for _, in := range badAdvertisements {
		a := advertisement{hide: []string{notesRef}, haves: func(string, gitcmd.OID) ([]gitcmd.OID, error) { return nil, nil }}
		var out strings.Builder
		if err := a.copy(&out, strings.NewReader(in)); !errors.Is(err, errAdvertisement) || out.Len() > 0 {
			t.Errorf("%.60q: %v, handed on %.60q", in, err, out.String())
		}
	}
}

// FuzzAdvertisement wants that what is handed on is what came in but for the
// hidden ref, and that capabilities come first and once.
func FuzzAdvertisement(f *testing.F) {
	for _, in := range badAdvertisements {
		f.Add(in)
	}
	f.Add(packed("version 1", oid("c")+" "+notesRef+"\x00"+caps, oid("d")+" .have", "", "raw:PACK"))
	f.Add(packed(oid("a")+" refs/heads/main\x00"+caps, oid("c")+" "+notesRef, "shallow "+oid("e"), ""))
	f.Fuzz(func(t *testing.T, in string) {
		a := advertisement{hide: []string{notesRef}, haves: func(string, gitcmd.OID) ([]gitcmd.OID, error) {
			return []gitcmd.OID{gitcmd.OID(oid("1"))}, nil
		}}
		var out bytes.Buffer
		if err := a.copy(&out, strings.NewReader(in)); err != nil {
			return
		}
		scanner := pktline.NewScanner(&out)
		withCaps := 0
		for scanner.Scan() && len(scanner.Bytes()) > 0 {
			line := string(scanner.Bytes())
			if strings.Contains(line, "\x00") {
				withCaps++
			}
			if name, _, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\x00"); strings.HasSuffix(name, " "+notesRef) {
				t.Fatalf("the hidden ref is shown: %q", line)
			}
		}
		var refused *pktline.ErrorLine
		if scanner.Err() != nil && !errors.As(scanner.Err(), &refused) {
			t.Fatalf("what is handed on cannot be read: %v", scanner.Err())
		}
		if refused == nil && withCaps == 0 {
			t.Fatal("no capabilities are handed on")
		}
	})
}

func TestProcReceiveIsReadAndAnswered(t *testing.T) {
	t.Parallel()
	command := oid("0") + " " + oid("b") + " " + notesRef
	for name, c := range map[string]struct {
		in     []string
		answer string
		want   procRequest
	}{
		"without features": {
			[]string{"version=1", "", command, ""}, packed("version=1", ""),
			procRequest{commands: []procCommand{{gitcmd.ZeroOID, gitcmd.OID(oid("b")), notesRef}}},
		},
		"with all": {
			[]string{"version=1\x00push-options atomic object-format=sha1", "", command, "", "ci.skip", "", ""},
			packed("version=1\x00push-options atomic", ""),
			procRequest{commands: []procCommand{{gitcmd.ZeroOID, gitcmd.OID(oid("b")), notesRef}}, options: []string{"ci.skip"}},
		},
		"atomic": {
			[]string{"version=1\x00 atomic", "", command, oid("b") + " " + oid("0") + " refs/notes/ai", ""}, packed("version=1\x00atomic", ""),
			procRequest{commands: []procCommand{{gitcmd.ZeroOID, gitcmd.OID(oid("b")), notesRef}, {gitcmd.OID(oid("b")), gitcmd.ZeroOID, "refs/notes/ai"}}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out strings.Builder
			got, err := readProcRequest(strings.NewReader(packed(c.in...)), &out)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got, cmp.AllowUnexported(procRequest{}, procCommand{})); diff != "" {
				t.Errorf("read (-want +got):\n%s", diff)
			}
			if out.String() != c.answer {
				t.Errorf("answered %q, want %q", out.String(), c.answer)
			}
		})
	}
}

// badProcRequests are none that git writes.
var badProcRequests = []string{
	"", "0000", "zzzz", packed("version=2", ""), packed("version=1"), packed("hello", "", ""), packed("version=1", "", "x", ""),
	packed("version=1", "", oid("a")+" "+oid("b"), ""), packed("version=1", "", oid("a")+" "+oid("b")+" x", ""),
	packed("version=1", "", oid("a")+" "+oid("x")+" refs/notes/x", ""), packed("version=1", "", oid("a")+" "+oid("b")+" refs/n x", ""),
	packed("version=1", "", oid("a")+" "+oid("b")+" refs/notes/x"), packed("version=1\x00push-options", "", oid("a")+" "+oid("b")+" refs/notes/x", ""),
	packed(append([]string{"version=1", ""}, strings.Split(strings.Repeat(oid("a")+" "+oid("b")+" refs/notes/x\n", 200), "\n")...)...),
}

func TestWhatIsNoProcReceiveIsRefused(t *testing.T) {
	t.Parallel()
	for _, in := range badProcRequests {
		if got, err := readProcRequest(strings.NewReader(in), io.Discard); !errors.Is(err, errProcReceive) {
			t.Errorf("%.60q: %+v, %v", in, got, err)
		}
	}
}

func FuzzProcReceive(f *testing.F) {
	for _, in := range badProcRequests {
		f.Add(in)
	}
	f.Add(packed("version=1\x00push-options atomic", "", oid("0")+" "+oid("b")+" "+notesRef, "", "o", ""))
	f.Fuzz(func(t *testing.T, in string) {
		request, err := readProcRequest(strings.NewReader(in), io.Discard)
		if err != nil {
			return
		}
		if len(request.commands) > maxProcCommands || len(request.options) > maxProcOptions {
			t.Fatalf("%d commands and %d options", len(request.commands), len(request.options))
		}
		for _, c := range request.commands {
			if _, err := gitcmd.ParseOID(string(c.new)); err != nil || !strings.HasPrefix(c.ref, "refs/") {
				t.Fatalf("read %+v", c)
			}
		}
	})
}

func TestReportsOfProcReceive(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	err := writeProcReports(&out, []procReport{
		{ref: notesRef, old: gitcmd.OID(oid("a")), new: gitcmd.OID(oid("b"))}, {ref: "refs/notes/ai", refusal: "no"},
	})
	want := packed("ok "+notesRef, "option old-oid "+oid("a"), "option new-oid "+oid("b"), "ng refs/notes/ai no", "")
	if err != nil || out.String() != want {
		t.Errorf("wrote %q, %v, want %q", out.String(), err, want)
	}
}

func TestCommandsOfClients(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		"git-upload-pack 'acme/api.git'":                      "git-upload-pack acme/api.git",
		"git-receive-pack '/acme/api.git'":                    "git-receive-pack acme/api.git",
		"git-receive-pack '/acme/api.git/'":                   "git-receive-pack acme/api.git",
		"git-upload-archive 'acme/api'":                       "git-upload-archive acme/api",
		"git-upload-pack acme/api":                            "git-upload-pack acme/api",
		"git-upload-pack /acme/api.git":                       "git-upload-pack acme/api.git",
		"git-upload-pack 'it'\\''s'":                          "git-upload-pack it's",
		"git-upload-pack 'wow'\\!''":                          "git-upload-pack wow!",
		"git-upload-pack 'a b/c'":                             "git-upload-pack a b/c",
		"git-upload-pack 'naïve/repo'":                        "git-upload-pack naïve/repo",
		"git-upload-pack '~ada/x'":                            "git-upload-pack ~ada/x",
		"git-upload-pack 'a;rm -rf $HOME`'":                   "git-upload-pack a;rm -rf $HOME`",
		"git-upload-pack 'x'.'git'":                           "git-upload-pack x.git",
		"git-upload-pack ''":                                  "",
		"git-upload-pack '/'":                                 "",
		"git-upload-pack":                                     "",
		"git-upload-pack ":                                    "",
		"git upload-pack 'a'":                                 "",
		"git-upload-pack  'a'":                                "",
		"git-upload-pack 'a' 'b'":                             "",
		"git-upload-pack --strict 'a'":                        "",
		"git-upload-pack '--strict'":                          "",
		"git-upload-pack '-oProxy'":                           "",
		"git-upload-pack 'a/-b'":                              "",
		"git-upload-pack 'a":                                  "",
		"git-upload-pack 'a'\\":                               "",
		"git-upload-pack a\\b":                                "",
		"git-upload-pack \"a\"":                               "",
		"git-upload-pack $HOME":                               "",
		"git-upload-pack `id`":                                "",
		"git-upload-pack a;id":                                "",
		"git-upload-pack 'a'&&id":                             "",
		"git-upload-pack 'a'|id":                              "",
		"git-upload-pack a\nid":                               "",
		"git-upload-pack '..'":                                "",
		"git-upload-pack '../../etc'":                         "",
		"git-upload-pack 'a/../b'":                            "",
		"git-upload-pack 'a/./b'":                             "",
		"git-upload-pack 'a//b'":                              "",
		"git-upload-pack '//a'":                               "",
		"git-upload-pack 'a\x00b'":                            "",
		"git-upload-pack 'a\nb'":                              "",
		"git-upload-pack 'a\x1b[2Jb'":                         "",
		"git-upload-pack 'a\u202eb'":                          "",
		"git-upload-pack '\xff\xfe'":                          "",
		"git-shell":                                           "",
		"/bin/sh":                                             "",
		"":                                                    "",
		"scp -t /tmp":                                         "",
		"GIT-UPLOAD-PACK 'a'":                                 "",
		"git-upload-pack\x00 'a'":                             "",
		"git-receive-pack\t'a'":                               "",
		"git-upload-pack '" + strings.Repeat("a", 300) + "'":  "",
		"git-upload-pack '" + strings.Repeat("a", 2000) + "'": "",
	} {
		asked, path, err := parseCommand(raw)
		got := string(asked) + " " + path
		if want == "" && !errors.Is(err, errCommand) || want != "" && (err != nil || got != want) {
			t.Errorf("%.80q: %q, %v, want %q", raw, got, err, want)
		}
	}
}

func FuzzCommand(f *testing.F) {
	for _, raw := range []string{
		"git-upload-pack 'acme/api.git'", "git-receive-pack '/a'\\''b'", "git-upload-pack '../x'", "git-upload-archive a;b", "git-upload-pack 'a'\\!''",
	} {
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		asked, path, err := parseCommand(raw)
		if err != nil {
			if !errors.Is(err, errCommand) {
				t.Fatalf("an error of another sort: %v", err)
			}
			return
		}
		if asked != uploadPack && asked != receivePack && asked != uploadArchive {
			t.Fatalf("service %q", asked)
		}
		if clean, err := cleanPath(path); err != nil || clean != path {
			t.Fatalf("path %q is not clean: %v", path, err)
		}
	})
}
