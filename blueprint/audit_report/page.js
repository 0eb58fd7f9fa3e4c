"use strict";
(() => {
  const form = document.getElementById("search");
  const words = document.getElementById("words");
  const state = document.getElementById("state");
  const found = document.getElementById("found");
  const items = [...document.querySelectorAll("[data-item]")].map((element) => ({
    element, kind: element.dataset.item, state: element.dataset.state ?? "", text: element.textContent.toLowerCase(),
  }));
  const groups = [...document.querySelectorAll("[data-group]")];
  const before = new Map(groups.map((group) => [group, group.open]));

  const search = () => {
    const asked = words.value.toLowerCase().split(/\s+/).filter(Boolean);
    const wanted = state.value;
    const idle = asked.length === 0 && wanted === "";
    const counted = new Map();
    for (const item of items) {
      const fits = asked.every((word) => item.text.includes(word)) && (wanted === "" || item.state === wanted);
      item.element.hidden = !idle && !fits;
      if (fits) counted.set(item.kind, (counted.get(item.kind) ?? 0) + 1);
    }
    for (const group of groups) {
      const left = group.querySelector("[data-item]:not([hidden])") !== null;
      group.hidden = !idle && !left;
      group.open = idle ? before.get(group) : left;
    }
    const said = [...counted].map(([kind, count]) => `${count} ${kind}${count === 1 ? "" : "s"}`);
    found.textContent = idle ? "" : said.length ? said.join(", ") : "nothing found";
  };
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    document.querySelector("[data-item]:not([hidden]) summary, [data-item]:not([hidden])")?.scrollIntoView();
  });
  form.addEventListener("input", search);
  form.addEventListener("keydown", (event) => {
    if (event.key === "Escape") { words.value = ""; state.value = ""; search(); }
  });
  form.hidden = false;

  const reveal = () => {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!target) return;
    for (let each = target; each; each = each.parentElement) {
      each.hidden = false;
      if (each instanceof HTMLDetailsElement) each.open = true;
    }
    target.scrollIntoView();
    target.querySelector("summary")?.focus({ preventScroll: true });
  };
  addEventListener("hashchange", reveal);
  if (location.hash) reveal();

  let shut = [];
  addEventListener("beforeprint", () => {
    shut = [...document.querySelectorAll("details:not([open])")];
    for (const each of shut) each.open = true;
  });
  addEventListener("afterprint", () => { for (const each of shut) each.open = false; });
})();
