// What the pages can do beyond links and forms. Without it they work all the same.
"use strict";
(() => {
  const year = 31536000;
  try {
    const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
    if (zone) document.cookie = `bp_zone=${encodeURIComponent(zone)}; path=/; max-age=${year}; samesite=lax${location.protocol === "https:" ? "; secure" : ""}`;
  } catch { /* The organisation's zone is shown. */ }

  const typing = (el) => el.closest("input, textarea, select, [contenteditable]") !== null;
  let going = 0;

  // "/" searches, "g" and a letter goes to a section, "?" helps.
  document.addEventListener("keydown", (e) => {
    if (e.key === "Escape") {
      document.activeElement?.blur();
      document.getElementById("drawer")?.removeAttribute("open");
      return;
    }
    if (e.ctrlKey || e.metaKey || e.altKey || !(e.target instanceof Element) || typing(e.target)) return;
    if (going && Date.now() - going < 1500) {
      going = 0;
      const link = [...document.querySelectorAll("a[data-key]")].find((a) => a.dataset.key === e.key);
      if (link) { e.preventDefault(); location.assign(link.href); }
      return;
    }
    const search = document.querySelector("[data-search]");
    if (e.key === "g") going = Date.now();
    else if (e.key === "/") {
      e.preventDefault();
      if (search) search.focus(); else location.assign("/receipts");
    } else if (e.key === "?") location.assign("/help");
  });

  // Distances from now stay true while a page is open.
  const units = [[86400, "days"], [3600, "h"], [60, "min"], [1, "s"]];
  const ago = (t) => {
    const d = (Date.now() - t) / 1000, far = Math.abs(d);
    if (far < 10) return "now";
    const [size, name] = units.find(([s]) => far >= (s === 86400 ? 2 * s : s));
    const text = `${Math.floor(far / size)} ${name}`;
    return d < 0 ? `in ${text}` : `${text} ago`;
  };
  setInterval(() => {
    for (const span of document.querySelectorAll("time [data-ago]")) {
      const at = Date.parse(span.parentElement.dateTime);
      if (Math.abs(Date.now() - at) < 30 * 86400e3) span.textContent = ago(at);
    }
  }, 20000);

  // Empty fields of a filter say nothing, so they are left out of the address.
  document.addEventListener("htmx:configRequest", (e) => {
    if (e.detail.verb !== "get") return;
    for (const key of [...e.detail.formData.keys()]) {
      if (e.detail.formData.getAll(key).every((v) => v === "")) e.detail.formData.delete(key);
    }
  });

  // A choice among rules loads the form of the one that was chosen.
  document.addEventListener("change", (e) => {
    if (e.target instanceof Element && e.target.matches("[data-submit]")) e.target.form.requestSubmit();
  });

  // On a telephone a table with texts is read row by row: each cell says its column.
  // Roles say again what the elements are, since their display is not a table's.
  const stack = (root) => {
    for (const table of root.querySelectorAll("table.texts")) {
      const names = [...table.querySelectorAll("thead th")].map((th) => th.querySelector(".unseen") ? "" : th.textContent);
      table.classList.add("stacked");
      table.setAttribute("role", "table");
      for (const part of table.querySelectorAll("thead, tbody")) part.setAttribute("role", "rowgroup");
      for (const row of table.rows) {
        row.setAttribute("role", "row");
        [...row.cells].forEach((cell, i) => {
          cell.setAttribute("role", cell.tagName === "TD" ? "cell" : "columnheader");
          if (cell.tagName === "TD") cell.dataset.label = names[i] ?? "";
        });
      }
    }
  };
  stack(document);
  document.addEventListener("htmx:afterSettle", (e) => stack(e.target instanceof Element ? e.target : document));

  // Who goes to the next rows by the keyboard goes on from their beginning: the link
  // that had the focus is gone. Who types somewhere meanwhile keeps it.
  document.addEventListener("htmx:afterSettle", (e) => {
    if (document.activeElement === document.body && e.detail.requestConfig?.elt?.matches(".pager a")) document.getElementById("main")?.focus({ preventScroll: true });
  });

  document.addEventListener("click", (e) => {
    const button = e.target instanceof Element ? e.target.closest("[data-copy]") : null;
    if (!button) return;
    navigator.clipboard?.writeText(document.getElementById(button.dataset.copy)?.textContent ?? "").then(() => {
      button.textContent = "Copied";
    });
  });
})();
