// Elements and plots, made from texts alone: nothing of a file name can become part of the page's code.
"use strict";

/** An element with attributes, properties (`text`, `on...`) and children. */
function el(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (key === "text") made.textContent = value;
    else if (key === "class") made.className = value;
    else if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

/** An SVG element. */
function svg(name, attributes = {}, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

const plots = {
  /** A number with few digits. */
  number(value) {
    if (value === null || value === undefined) return "-";
    const digits = Math.abs(value) >= 100 ? 0 : 1;
    return value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });
  },

  /** A table whose first number is also a bar; it reads well without the bars. */
  bars(caption, columns, rows) {
    const largest = Math.max(...rows.map((row) => row[1] || 0), 1e-9);
    const isNumber = (k) => k > 0 && rows.every((row) => typeof row[k] !== "string");
    const cellClass = (k) => (isNumber(k) ? "number" : undefined);
    const line = (row, cell, bar) => {
      const cells = row.map(cell);
      cells.splice(2, 0, bar);
      return el("tr", {}, ...cells);
    };
    const head = line(columns, (text, k) => el("th", { scope: "col", text, class: cellClass(k) }), el("td"));
    const body = rows.map((row) => {
      const share = Math.max(0, (100 * (row[1] || 0)) / largest);
      const bar = svg("svg", { viewBox: "0 0 100 10", preserveAspectRatio: "none", "aria-hidden": "true" },
        svg("rect", { width: share.toFixed(2), height: 10 }));
      const cell = (value, k) => {
        if (k === 0) return el("th", { scope: "row", text: value });
        const text = k === 1 ? this.number(value) : String(value);
        return el("td", { class: cellClass(k), text });
      };
      return line(row, cell, el("td", { class: "bar-cell" }, bar));
    });
    return el("table", { class: "plot", "aria-label": caption }, el("thead", {}, head), el("tbody", {}, ...body));
  },

  /** Terms with a colour of their own in each plot; the others share one. */
  coloured: ["body keypoints", "hand keypoints", "face keypoints", "lifting", "body pose", "joint limits", "collision"],

  /** A bar for each stage, divided among the terms, with the stage's loss; `terms` are names and values by stage. */
  shares(caption, terms, totals) {
    const place = (name) => (this.coloured.includes(name) ? this.coloured.indexOf(name) : this.coloured.length);
    const names = [...this.coloured, "other terms"].filter((_, k) => terms.some(([name]) => place(name) === k));
    const kind = (name) => `term-${place(name)}`;
    const rows = totals.map((total, stage) => {
      const parts = names.map((name) => {
        const own = terms.filter(([one]) => place(one) === place(name));
        return own.reduce((sum, [, values]) => sum + Math.max(0, values[stage] || 0), 0);
      });
      const whole = Math.max(parts.reduce((sum, part) => sum + part, 0), 1e-9);
      let start = 0;
      const told = [];
      const bar = svg("svg", { viewBox: "0 0 100 10", preserveAspectRatio: "none", role: "img" });
      parts.forEach((part, k) => {
        const share = (100 * part) / whole;
        const text = `${names[k]}: ${this.number(part)}, ${share.toFixed(0)} %`;
        if (share >= 0.5) told.push(text);
        bar.append(svg("rect", { class: kind(names[k]), x: start.toFixed(2), width: share.toFixed(2), height: 10 }, svg("title", {}, text)));
        start += share;
      });
      bar.setAttribute("aria-label", told.join("; "));
      return el("tr", {}, el("th", { scope: "row", text: `stage ${stage + 1}` }), el("td", { class: "share-cell" }, bar),
        el("td", { class: "number", text: this.number(total) }));
    });
    const head = el("tr", {}, el("td"), el("th", { scope: "col", text: "share of the terms" }), el("th", { scope: "col", class: "number", text: "loss" }));
    const legend = el("ul", { class: "legend" }, ...names.map((name) => el("li", { class: kind(name) }, el("span", { text: name }))));
    return el("div", {}, el("table", { class: "plot shares", "aria-label": caption }, el("thead", {}, head), el("tbody", {}, ...rows)), legend);
  },

  /** A table of names and values, one a stage, over bars: how each value goes on from stage to stage. */
  courses(caption, terms) {
    const head = el("tr", {}, el("th", { scope: "col", text: "end of stage" }),
      ...terms[0][1].map((_, stage) => el("th", { scope: "col", class: "number", text: String(stage + 1) })));
    const body = terms.map(([name, values]) => {
      const largest = Math.max(...values.map((value) => value || 0), 1e-9);
      const cells = values.map((value) => {
        const share = Math.min(100, Math.max(0, (100 * (value || 0)) / largest));
        return el("td", { class: "number", style: `--share: ${share.toFixed(1)}%` }, el("span", { text: value ? this.number(value) : "\u2013" }));
      });
      return el("tr", {}, el("th", { scope: "row", text: name }), ...cells);
    });
    return el("table", { class: "plot courses", "aria-label": caption }, el("thead", {}, head), el("tbody", {}, ...body));
  },
};
