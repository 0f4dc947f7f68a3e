package httpapi

import (
	"net/url"
	"unicode/utf8"

	"github.com/blameprompt/enterprise/store"
)

func qualityOf(f store.PromptFacets) PromptQuality {
	return PromptQuality{Scored: f.Scored, Average: share(f.Score, f.Scored), Excellent: f.Excellent, Good: f.Good, Fair: f.Fair,
		Poor: f.Scored - f.Excellent - f.Good - f.Fair}
}

func timeOf(f store.PromptFacets) PromptTime {
	const hour = 3600
	return PromptTime{Timed: f.Timed, Hours: float64(f.Seconds) / hour}
}

func kindOf(k store.PromptKind) PromptKind {
	return PromptKind{Key: k.Key, Prompts: k.Prompts, CostUsd: k.CostUSD, Quality: qualityOf(k.PromptFacets), Time: timeOf(k.PromptFacets)}
}

// folderOf shows a folder with the lists behind it. Of the files that lie in no
// folder below the one that was asked for no list is of them alone.
func folderOf(f store.FolderFigures, ask store.FiguresQuestion, repos []string) FolderFigures {
	l := f.Lines
	out := FolderFigures{Path: shown(f.Path), Own: string(f.Path) == ask.Folder,
		Lines:   FolderLines{Added: l.Added, Ai: l.AI, Human: l.Human, Unknown: l.Unknown, Trailer: l.Trailer, Excluded: l.Excluded},
		AiShare: share(l.AI, l.Added), UnknownShare: share(l.Unknown, l.Added), Live: countsOf(f.Live)}
	if out.Own || !utf8.Valid(f.Path) {
		return out
	}
	query := url.Values{"repo": repos, "path": {string(f.Path)}}
	out.Rows.Commits = link("/api/v1/commits", withDays(query, ask.From, ask.To))
	query.Set("by", string(store.FiguresByPath))
	out.Rows.Folders = link("/api/v1/analytics", query)
	if f.Live == (store.LiveCounts{}) {
		return out
	}
	out.Rows.Live = link("/api/v1/live", url.Values{"repo": repos, "by": {"path"}, "path": {string(f.Path)}})
	return out
}
