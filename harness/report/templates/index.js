"use strict";
(() => {
  const form = document.getElementById("filter");
  const status = document.getElementById("shown");
  const nothing = document.getElementById("nothing");
  const groups = [...document.querySelectorAll(".spec")].map((section) => ({
    section,
    claims: [...section.querySelectorAll("tbody.entry")].map((body) => ({
      body,
      rows: [...body.querySelectorAll("tr.row")].map((row) => ({
        row,
        text: [section.querySelector("h3"), body.rows[0], row].map((part) => part.textContent).join(" ").toLowerCase(),
      })),
    })),
  }));
  const number = (count, noun) => `${count} ${noun}${count === 1 ? "" : "s"}`;

  function filter() {
    const words = form.elements.text.value.toLowerCase().split(/\s+/).filter(Boolean);
    const wanted = [...form.querySelectorAll("select")].filter((select) => select.value);
    const fits = ({ row, text }) =>
      wanted.every((select) => row.dataset[select.name] === select.value) && words.every((word) => text.includes(word));
    let verdicts = 0, claims = 0, all = 0;
    for (const group of groups) {
      let left = 0;
      for (const { body, rows } of group.claims) {
        const fitting = rows.filter((entry) => (entry.row.hidden = !fits(entry)) === false).length;
        body.hidden = !fitting;
        left += fitting > 0;
        verdicts += fitting;
        all += rows.length;
      }
      group.section.hidden = !left;
      claims += left;
    }
    nothing.hidden = verdicts > 0;
    const share = verdicts === all ? number(all, "verdict") : `${verdicts} of ${number(all, "verdict")}`;
    status.textContent = `${number(claims, "claim")} with ${share}`;
  }

  // A link to what is filtered away shows it again.
  function arrive() {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (target && target.closest("[hidden]")) {
      form.reset();
      filter();
      target.scrollIntoView();
    }
  }

  form.hidden = document.getElementById("back").hidden = false;
  form.addEventListener("input", filter);
  form.addEventListener("reset", () => setTimeout(filter));
  form.addEventListener("submit", (event) => event.preventDefault());
  window.addEventListener("hashchange", arrive);
  window.addEventListener("pageshow", filter); // the browser may have kept the choice
  filter();
})();
