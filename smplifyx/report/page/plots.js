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
};
