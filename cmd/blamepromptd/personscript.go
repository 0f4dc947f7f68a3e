package main

import "strings"

// eraseScript is a script that takes the receipts of a person out of the notes
// of the repository that it is run in. The address is a word of its own there,
// whatever it holds.
func eraseScript(email string) string {
	quoted := "'" + strings.ReplaceAll(email, "'", `'\''`) + "'"
	return strings.Replace(eraseScriptText, "%EMAIL%", quoted, 1)
}

const eraseScriptText = `#!/bin/sh
# Takes the receipts of one person out of refs/notes/blameprompt of this
# repository, and begins the history of the notes anew. Read it before you run it.
#
# What follows from it:
#  - The old notes stay in every clone and on the server until they are pruned
#    there (git gc --prune=now), and in forks and backups.
#  - The notes ref gets another history: the push must be forced, every clone must
#    fetch it by force (git fetch origin '+refs/notes/*:refs/notes/*'), and a clone
#    that does not and pushes brings the old notes back.
#  - The daemon reports that the notes ref was rewritten, keeps the old tip in the
#    archive of its mirror, and goes on to know the old receipts, as the erasure
#    left them. Remove the mirror of the repository (mirrors/ in the data directory)
#    to be rid of its copy.
#  - Commits name their author: this script does not change commits.
#  - Notes of git-ai (refs/notes/ai) are text of another format: edit them by hand.
#
# It needs git and jq, and changes nothing but the local ref. Nothing is pushed.
set -eu
EMAIL=%EMAIL%
REF=refs/notes/blameprompt
command -v jq >/dev/null || { echo "jq is needed" >&2; exit 1; }
old=$(git rev-parse --verify "$REF")
GIT_INDEX_FILE="$(git rev-parse --absolute-git-dir)/erase-index"
export GIT_INDEX_FILE
rm -f "$GIT_INDEX_FILE"
git read-tree "$old"
of_person='def of_person: ((.user? // "") | tostring | ascii_downcase | contains($e | ascii_downcase));'
git ls-tree -r "$old" | while IFS="$(printf '\t')" read -r meta path; do
    blob=${meta##* }
    git cat-file blob "$blob" >"$GIT_INDEX_FILE.note"
    jq -e --arg e "$EMAIL" "$of_person"'
        (.receipts? | type) == "array" and any(.receipts[]; of_person)' "$GIT_INDEX_FILE.note" >/dev/null 2>&1 || continue
    jq -c --arg e "$EMAIL" "$of_person"' .receipts |= map(select(of_person | not))' "$GIT_INDEX_FILE.note" >"$GIT_INDEX_FILE.kept"
    if [ "$(jq '.receipts | length' "$GIT_INDEX_FILE.kept")" = 0 ]; then
        git update-index --force-remove -- "$path"
    else
        git update-index --cacheinfo "100644,$(git hash-object -w -- "$GIT_INDEX_FILE.kept"),$path"
    fi
done
new=$(git commit-tree "$(git write-tree)" -m 'Notes without the receipts of an erased person')
rm -f "$GIT_INDEX_FILE" "$GIT_INDEX_FILE.note" "$GIT_INDEX_FILE.kept"
git update-ref "$REF" "$new" "$old"
echo "$REF is $new now, it was $old. To see what was taken out:"
echo "    git diff $old $new"
echo "To go back:  git update-ref $REF $old"
echo "To publish:  git push --force-with-lease=$REF:$old origin $REF"
`
