"use strict";
// The filter, the search, traces that show the place where a rule was broken, and anchors in browsers
// that do not open <details> around a fragment.
(() => {
  const form = document.getElementById("filter");
  const shown = form.querySelector("output");
  const rules = [...document.querySelectorAll("tr.rule")].map((row) => ({ row, cases: row.nextElementSibling, text: "" }));

  function isIn(element, kind) {
    return kind === "" || element.dataset.kinds.split(" ").includes(kind);
  }

  function holds(rule, words) {
    rule.text ||= `${rule.row.textContent} ${rule.cases.textContent}`.toLowerCase();
    return words.every((word) => rule.text.includes(word));
  }

  function apply() {
    const { kind, area, text } = Object.fromEntries(new FormData(form));
    const words = text.toLowerCase().split(/\s+/).filter(Boolean);
    let count = 0;
    for (const rule of rules) {
      const isShown = isIn(rule.row, kind) && ["", rule.row.parentElement.dataset.area].includes(area) && holds(rule, words);
      rule.row.hidden = rule.cases.hidden = !isShown;
      count += isShown;
    }
    for (const one of document.querySelectorAll("details.case")) one.hidden = !isIn(one, kind);
    for (const loop of document.querySelectorAll("tr.cases section"))
      loop.hidden = kind !== "" && !loop.querySelector("details.case:not([hidden])");
    for (const body of document.querySelectorAll("tbody")) body.hidden = !body.querySelector("tr.rule:not([hidden])");
    shown.textContent = count ? `${count} of ${shown.dataset.total} rules` : "no rule is like that";
  }

  function reveal() {
    const target = document.getElementById(location.hash.slice(1));
    if (!target) return;
    if (target.closest("[hidden]")) {
      form.reset();
      apply();
    }
    for (let at = target.closest("details"); at; at = at.parentElement.closest("details")) at.open = true;
    target.scrollIntoView();
  }

  // The control's trace is cut around the same place, so the same line of it is shown.
  function showPlace(traces) {
    const texts = [...traces.querySelectorAll("pre")];
    const before = texts[0].textContent.split("\n    ^ ")[0].split("\n").length;
    if (traces.dataset.seen || !texts[0].offsetParent || !texts[0].textContent.includes("\n    ^ ")) return;
    traces.dataset.seen = "yes";
    for (const text of texts) {
      const line = parseFloat(getComputedStyle(text).lineHeight);
      text.scrollTop = line * before - text.clientHeight / 2;
    }
  }

  function opened(event) {
    if (event.target.matches(".traces")) showPlace(event.target);
    for (const traces of event.target.querySelectorAll(".traces[open]")) showPlace(traces);
  }

  document.addEventListener("toggle", opened, true);
  form.addEventListener("input", apply);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.hidden = false;
  form.reset();
  apply();
  addEventListener("hashchange", reveal);
  reveal();
})();
