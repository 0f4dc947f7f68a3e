#!/bin/sh
# What the scripts about pushes do again and again, as a developer and an AI tool would do it by hand:
#
#	world                   a bare repository srv/api.git, and a clone of it in work with a first commit
#	change FILE N [TEXT]    commit N new lines of FILE in work; TEXT ends the message
#	undo                    forget the last commit in work, as if it had never been
#	head                    print the id of the last commit in work
#	beside BRANCH           push BRANCH, and a second later beside it the notes, as the stock client's pre-push hook does
#	receipt [FIELD=VALUE]   write a receipt of the BlamePrompt client to the note of HEAD in work; FIELD is id, model,
#	                        provider, cost, prompt, user, session, number, file or lines (FIRST-LAST)
set -eu

world() {
	git init -q --bare -b main srv/api.git
	git -C srv/api.git config receive.advertisePushOptions true
	git clone -q srv/api.git work 2>/dev/null
	echo start >work/README
	git -C work add README
	git -C work commit -q -m start
	git -C work push -q origin HEAD:main
}

change() {
	file=$1 count=$2 text=${3-}
	mkdir -p "work/$(dirname "$file")"
	seq -f "$file line %g" "$(($(cat "work/$file" 2>/dev/null | wc -l) + 1))" \
		"$(($(cat "work/$file" 2>/dev/null | wc -l) + count))" >more
	cat more >>"work/$file"
	git -C work add "$file"
	# No two commits are the same, even if the first was undone.
	git -C work commit -q -m "Change $file ($(cat /proc/sys/kernel/random/uuid))" ${text:+-m "$text"}
}

undo() { git -C work reset -q --hard HEAD~1; }

head() { git -C work rev-parse HEAD; }

beside() {
	(sleep 1 && exec git -C work push -q --no-verify origin refs/notes/blameprompt >/dev/null 2>&1) &
	status=0
	git -C work push origin "$1" || status=$?
	wait
	return $status
}

receipt() {
	id=$(cat /proc/sys/kernel/random/uuid) model=claude-sonnet-4-5 provider=claude cost=0.10 prompt='Write it.' number=1
	user='Ada <ada@example.com>' session=$(cat /proc/sys/kernel/random/uuid) file= lines=1-1
	for pair; do
		eval "${pair%%=*}=\${pair#*=}"
	done
	git -C work notes --ref=blameprompt show HEAD 2>/dev/null | sed '$d' | sed '$d' >note || true
	if [ -s note ]; then echo '    ,' >>note; else printf '{\n  "blameprompt_version": "1.0.1",\n  "receipts": [\n' >note; fi
	cat >>note <<-END
		    {"id": "$id", "provider": "$provider", "model": "$model", "session_id": "$session",
		     "prompt_number": $number, "prompt_summary": "$prompt", "prompt_hash": "sha256:0", "message_count": 1,
		     "cost_usd": $cost, "timestamp": "$(date -u +%Y-%m-%dT%H:%M:%SZ)", "user": "$user",
		     "file_path": "$file", "line_range": [${lines%-*}, ${lines#*-}]$(changed)}
		  ]
		}
	END
	git -C work notes --ref=blameprompt add -q -f -F ../note HEAD 2>/dev/null ||
		git -C work notes --ref=blameprompt add -f -F ../note HEAD 2>/dev/null
}

changed() {
	[ -z "$file" ] || printf ',\n     "files_changed": [{"path": "%s", "line_range": [%s, %s], "additions": %s, "deletions": 0}]' \
		"$file" "${lines%-*}" "${lines#*-}" "$((${lines#*-} - ${lines%-*} + 1))"
}

"$@"
