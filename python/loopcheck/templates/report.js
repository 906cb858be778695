"use strict";
// The filter, the search, and anchors in browsers that do not open <details> around a fragment.
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
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!target) return;
    if (target.closest("[hidden]")) {
      form.reset();
      apply();
    }
    for (let at = target.closest("details"); at; at = at.parentElement.closest("details")) at.open = true;
    target.scrollIntoView();
  }

  form.addEventListener("input", apply);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.hidden = false;
  form.reset();
  apply();
  addEventListener("hashchange", reveal);
  reveal();
})();
