"use strict";
(() => {
  const $ = (id) => document.getElementById(id);
  const items = [...document.querySelectorAll("[data-family]")];
  const groups = [...document.querySelectorAll("[data-group]")];
  const details = [...document.querySelectorAll("details")];
  const folds = details.filter((one) => one.classList.contains("folded"));
  const rows = items.filter((item) => item.localName === "tr");
  let narrowed = false;

  const filter = () => {
    const family = $("filter-family").value;
    const failing = $("filter-failing").checked;
    const words = $("filter-text").value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const item of items) {
      const { dataset } = item;
      item.hidden =
        (family && dataset.family !== family) ||
        (failing && dataset.failing !== "true") ||
        !words.every((word) => dataset.search.includes(word));
    }
    for (const group of groups) {
      group.hidden = ![...group.querySelectorAll("[data-family]")].some((item) => !item.hidden);
    }
    if (narrowed !== Boolean(family || words.length)) { // what is looked for must not stay in a fold
      narrowed = !narrowed;
      for (const fold of folds) fold.open = narrowed;
    }
    const shown = rows.filter((row) => !row.hidden).length;
    const count = $("filter-count");
    count.textContent = `${shown} of ${rows.length} ${count.dataset.noun}`;
  };

  const copy = async (button) => {
    const source = $(button.dataset.copies);
    try {
      await navigator.clipboard.writeText(source.textContent);
      button.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(source);
      button.textContent = "Selected";
    }
    setTimeout(() => { button.textContent = "Copy"; }, 2000);
  };

  // a link must reach its target even where a filter hides it or a fold holds it
  const reveal = (hash) => {
    const target = $(decodeURIComponent(hash.slice(1)));
    if (!target) return;
    let moved = Boolean(target.closest("[hidden]"));
    if (moved) {
      $("filter-failing").checked = false;
      $("filter-family").value = $("filter-text").value = "";
      filter();
    }
    for (let fold = target.closest("details"); fold; fold = fold.parentElement.closest("details")) {
      moved ||= !fold.open;
      fold.open = true;
    }
    if (moved) target.scrollIntoView();
  };

  let closed = [];
  addEventListener("beforeprint", () => {
    closed = details.filter((one) => !one.open && !one.closest(".folded"));
    for (const one of closed) one.open = true;
  });
  addEventListener("afterprint", () => { for (const one of closed) one.open = false; });
  addEventListener("hashchange", () => reveal(location.hash));
  addEventListener("click", ({ target }) => { // also of a link that has been followed before
    const link = target.closest('a[href^="#"]');
    if (link) reveal(link.hash);
  });

  $("filters").hidden = false;
  $("filters").addEventListener("input", filter);
  for (const button of document.querySelectorAll("button.copy")) {
    button.hidden = false;
    button.addEventListener("click", () => copy(button));
  }
  filter();
  reveal(location.hash);
})();
