package demo

import "strings"

var golang = &language{
	extension: ".go", remark: "//",
	folders: []string{"internal/invoice", "internal/refund", "internal/ledger", "internal/webhook", "cmd/api"},
	head: func(folder, name string) []string {
		pkg := folder[strings.LastIndexByte(folder, '/')+1:]
		return []string{"// Package " + pkg + " settles what customers owe.", "package " + pkg, "", "import (", "\t\"context\"", "\t\"errors\"", "\t\"fmt\"",
			"\t\"time\"", ")", "", "// Service works on one " + pkg + " at a time.", "type Service struct {", "\tstore Store", "\tclock func() time.Time", "}"}
	},
	snippets: []string{`
// {V}{T} finds a {t} and brings it up to date.
func (s *Service) {V}{T}(ctx context.Context, id string) (*{T}, error) {
	row, err := s.store.{T}(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("{v} {t} %s: %w", id, err)
	}
	if row.{F} == "" {
		return nil, ErrNo{F}
	}
	row.Updated = s.clock()
	return row, s.store.Put{T}(ctx, row)
}`, `
// {V}{T}s goes through all {t}s that wait, oldest first.
func (s *Service) {V}{T}s(ctx context.Context, limit int) (int, error) {
	waiting, err := s.store.Waiting{T}s(ctx, min(limit, {n}))
	if err != nil {
		return 0, fmt.Errorf("listing {t}s: %w", err)
	}
	done := 0
	for _, one := range waiting {
		if err := s.{v}(ctx, one); err != nil {
			return done, fmt.Errorf("{t} %s: %w", one.ID, err)
		}
		done++
	}
	return done, nil
}`, `
// valid{T} reports what is wrong with a {t}.
func valid{T}(t {T}) error {
	switch {
	case t.ID == "":
		return errors.New("{t} has no id")
	case t.{F} < 0:
		return fmt.Errorf("{f} %d is negative", t.{F})
	case len(t.Lines) > {n}:
		return fmt.Errorf("{t} has %d lines, at most {n} are allowed", len(t.Lines))
	}
	return nil
}`, `
const (
	// {v}{T}Every is the pause between two looks.
	{v}{T}Every = {m} * time.Second
	// max{T}{F} bounds what one {t} may hold.
	max{T}{F} = {n}
)`, `
// {T}{F} is how much a {t} may have of it.
type {T}{F} struct {
	Low, High int64
	Currency  string
	Since     time.Time
}

// Holds reports whether the {f} is within its bounds.
func (f {T}{F}) Holds(value int64) bool {
	return value >= f.Low && value <= f.High
}`},
}

var typescript = &language{
	extension: ".ts", remark: "//",
	folders: []string{"src/checkout", "src/catalogue", "src/account", "src/search", "src/lib"},
	head: func(folder, name string) []string {
		return []string{"import { api } from \"../lib/api\";", "import { track } from \"../lib/track\";", "import type { " + upper(name) + " } from \"./types\";"}
	},
	snippets: []string{`
export async function {v}{T}(id: string, signal?: AbortSignal): Promise<{T}> {
  const response = await api.get("/{t}s/" + encodeURIComponent(id), { signal });
  if (!response.ok) {
    throw new Error("{v} {t}: " + response.status);
  }
  const {t} = (await response.json()) as {T};
  track("{t}.{v}", { {f}: {t}.{f} });
  return {t};
}`, `
export function use{T}{F}(id: string) {
  const [{f}, set{F}] = useState<number | null>(null);
  useEffect(() => {
    const controller = new AbortController();
    {v}{T}(id, controller.signal)
      .then(({t}) => set{F}({t}.{f}))
      .catch(() => set{F}(null));
    return () => controller.abort();
  }, [id]);
  return {f};
}`, `
export const {t}{F}Options = {
  debounce: {m},
  limit: {n},
  order: ["{f}", "created"],
  fallback: "none",
} as const;`, `
export function format{T}(value: {T}, locale: string): string {
  const formatter = new Intl.NumberFormat(locale, { style: "currency", currency: value.currency });
  if (value.{f} === 0) {
    return "";
  }
  return formatter.format(value.{f} / 100);
}`, `
export class {T}Queue {
  private readonly waiting: {T}[] = [];

  push({t}: {T}): void {
    if (this.waiting.length >= {n}) {
      this.waiting.shift();
    }
    this.waiting.push({t});
  }

  drain(): {T}[] {
    return this.waiting.splice(0, this.waiting.length);
  }
}`},
}

var python = &language{
	extension: ".py", remark: "#",
	folders: []string{"pipelines/ingest", "pipelines/features", "pipelines/models", "pipelines/quality"},
	head: func(folder, name string) []string {
		return []string{"\"\"\"" + upper(name) + ": one step of the nightly run.\"\"\"", "", "from __future__ import annotations", "", "import logging",
			"from datetime import datetime, timedelta", "", "import polars as pl", "", "log = logging.getLogger(__name__)"}
	},
	snippets: []string{`
def {v}_{t}(frame: pl.DataFrame, since: datetime) -> pl.DataFrame:
    """{V} each {t} that changed since the last run."""
    fresh = frame.filter(pl.col("updated_at") >= since)
    if fresh.is_empty():
        log.info("no {t} since %s", since)
        return fresh
    return fresh.with_columns(
        (pl.col("{f}") / {n}).alias("{f}_scaled"),
        pl.col("{t}_id").cast(pl.Utf8),
    )`, `
def {t}_{f}_by_week(frame: pl.DataFrame) -> pl.DataFrame:
    """Sum {f} of every {t} by calendar week."""
    return (
        frame.group_by_dynamic("created_at", every="1w")
        .agg(pl.col("{f}").sum(), pl.len().alias("{t}s"))
        .sort("created_at")
    )`, `
class {T}{F}Check:
    """Fails the run if the {f} of a {t} is out of bounds."""

    low = 0
    high = {n}

    def __call__(self, frame: pl.DataFrame) -> list[str]:
        bad = frame.filter(~pl.col("{f}").is_between(self.low, self.high))
        return [f"{row['{t}_id']}: {f} {row['{f}']}" for row in bad.to_dicts()]`, `
{v}_window = timedelta(minutes={m})
{t}_columns = ["{t}_id", "{f}", "created_at"]`, `
def {v}_{t}s(batch: list[dict], *, limit: int = {n}) -> int:
    done = 0
    for row in batch[:limit]:
        try:
            done += _{v}(row["{f}"])
        except ValueError as problem:
            log.warning("{t} %s: %s", row.get("id"), problem)
    return done`},
}

var kotlin = &language{
	extension: ".kt", remark: "//",
	folders: []string{"app/src/main/java/shop/basket", "app/src/main/java/shop/account", "app/src/main/java/shop/scan"},
	head: func(folder, name string) []string {
		return []string{"package shop." + folder[strings.LastIndexByte(folder, '/')+1:], "", "import kotlinx.coroutines.flow.Flow",
			"import kotlinx.coroutines.flow.map", "import javax.inject.Inject"}
	},
	snippets: []string{`
class {V}{T} @Inject constructor(private val {t}s: {T}Repository) {
    suspend operator fun invoke(id: String): Result<{T}> = runCatching {
        val {t} = {t}s.find(id) ?: error("no {t} $id")
        require({t}.{f} >= 0) { "{f} is negative" }
        {t}s.put({t}.copy({f} = {t}.{f} + 1))
    }
}`, `
data class {T}{F}State(
    val loading: Boolean = false,
    val {f}: Int = 0,
    val {t}s: List<{T}> = emptyList(),
    val problem: String? = null,
)`, `
fun Flow<List<{T}>>.{v}By{F}(limit: Int = {n}): Flow<List<{T}>> =
    map { {t}s ->
        {t}s.sortedByDescending { it.{f} }
            .take(limit)
    }`, `
private const val {V}{T}Millis = {m}_000L

internal fun {t}{F}(value: Int): String = when {
    value <= 0 -> "none"
    value < {n} -> "few"
    else -> "many"
}`},
}

var terraform = &language{
	extension: ".tf", remark: "#",
	folders: []string{"terraform/network", "terraform/database", "terraform/queues"},
	head: func(folder, name string) []string {
		return []string{"# " + upper(name) + " of the shop, by environment.", "terraform {", "  required_version = \">= 1.9\"", "}"}
	},
	snippets: []string{`
resource "aws_sqs_queue" "{t}_{v}" {
  name                       = "{t}-{v}-${var.environment}"
  visibility_timeout_seconds = {m}
  max_message_size           = 262144
  tags                       = local.tags
}`, `
variable "{t}_{f}" {
  description = "The {f} of each {t}."
  type        = number
  default     = {n}
}`, `
resource "aws_cloudwatch_metric_alarm" "{t}_{f}" {
  alarm_name          = "{t}-{f}-${var.environment}"
  comparison_operator = "GreaterThanThreshold"
  evaluation_periods  = 3
  metric_name         = "{T}{F}"
  namespace           = "Shop"
  period              = {m}
  statistic           = "Maximum"
  threshold           = {n}
  alarm_actions       = [aws_sns_topic.alarms.arn]
}`},
}

var shell = &language{
	extension: ".sh", remark: "#",
	folders: []string{"scripts", "scripts/release", "scripts/backup"},
	head: func(folder, name string) []string {
		return []string{"#!/bin/sh", "# " + upper(name) + ": run by the pipeline, and by hand with --dry-run.", "set -eu", "", "here=$(dirname \"$0\")"}
	},
	snippets: []string{`
{v}_{t}() {
	for one in "$@"; do
		if [ ! -e "$one" ]; then
			echo "no {t} $one" >&2
			return 1
		fi
		"$here/run" --{f} {n} --timeout {m} "$one"
	done
}`, `
{t}_{f}=$(kubectl get {t} --output jsonpath='{.items[*].spec.{f}}' | tr ' ' '\n' | sort -u)
[ -n "${t}_{f}" ] || exit {n}`, `
await_{t}() {
	left={m}
	until "$here/check" {t} {f}; do
		left=$((left - 1))
		[ "$left" -gt 0 ] || { echo "{t} has no {f} yet" >&2; return 1; }
		sleep 1
	done
}`},
}

var css = &language{
	extension: ".css", remark: "/*", endRemark: " */",
	folders: []string{"tokens", "components", "themes"},
	head: func(folder, name string) []string {
		return []string{"/* " + upper(name) + ": documented at design.acme.example. */", "@layer " + folder + ";"}
	},
	snippets: []string{`
.{t}-{f} {
  display: grid;
  gap: calc(var(--space) * 2);
  grid-template-columns: repeat(auto-fill, minmax({m}px, 1fr));
  padding-block: var(--space);
}

.{t}-{f}:focus-visible {
  outline: 2px solid var(--accent);
}`, `
:root {
  --{t}-{f}: {n}px;
  --{t}-{v}: oklch(0.{m} 0.12 250);
}`, `
@media (width < 40rem) {
  .{t}-{v} {
    flex-direction: column;
    max-inline-size: {n}ch;
  }
}`},
}

var markdown = &language{
	extension: ".md", remark: "<!--", endRemark: " -->",
	folders: []string{"guides", "decisions"},
	head: func(folder, name string) []string {
		return []string{"# " + upper(name), "", "How we do it, and why."}
	},
	snippets: []string{`
## When to {v} a {t}

A {t} is shown with its {f}. Where there is none, leave the space
empty instead of writing "n/a": people read it as a mistake.

- at most {n} on a page
- never without a label`, `
## The {f} of a {t}

We tried {n} variants with {m} people. The shortest one won, and is
what the component does by itself.`},
}
