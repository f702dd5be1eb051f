"use strict";
(() => {
  const $ = (id) => document.getElementById(id);
  const items = [...document.querySelectorAll("[data-family]")];
  const groups = [...document.querySelectorAll("[data-group]")];
  const rows = items.filter((item) => item.localName === "tr");

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

  // a link must reach its target even where a filter hides it
  const reveal = () => {
    const target = $(decodeURIComponent(location.hash.slice(1)));
    if (!target || !target.closest("[hidden]")) return;
    $("filter-failing").checked = false;
    $("filter-family").value = $("filter-text").value = "";
    filter();
    target.scrollIntoView();
  };

  const details = [...document.querySelectorAll("details")];
  let closed = [];
  addEventListener("beforeprint", () => {
    closed = details.filter((one) => !one.open);
    for (const one of closed) one.open = true;
  });
  addEventListener("afterprint", () => { for (const one of closed) one.open = false; });
  addEventListener("hashchange", reveal);

  $("filters").hidden = false;
  $("filters").addEventListener("input", filter);
  for (const button of document.querySelectorAll("button.copy")) {
    button.hidden = false;
    button.addEventListener("click", () => copy(button));
  }
  filter();
})();
