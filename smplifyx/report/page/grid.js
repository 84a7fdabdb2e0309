// The grid of people: filters, order, pages, keyboard; opens the panel.
"use strict";

const smplifyx = (() => {
  const PER_PAGE = 60;
  const byId = (id) => document.getElementById(id);
  const [grid, dialog] = [byId("grid"), byId("person")];
  const inputs = ["file", "text", "gender", "flag", "track", "order"].map(byId);
  const waiting = new Map();
  let about, panel, rows = [], shown = [], page = 0, current = -1, chunksLeft = 0, loadedFaces = {};

  // ---- data come as scripts, since a page from a file may not fetch

  /** The values of a script of the report, by the name that it hands over with them. */
  function load(address, name) {
    return new Promise((resolve) => {
      const script = el("script", { src: address });
      waiting.set(name, resolve);
      const end = () => {
        script.remove();
        if (waiting.delete(name)) resolve(null);
      };
      script.addEventListener("load", end);
      script.addEventListener("error", end);
      document.head.append(script);
    });
  }

  function arrived(name, values) {
    const resolve = waiting.get(name);
    waiting.delete(name);
    if (resolve) resolve(values);
  }

  function begin(values) {
    about = values;
    panel = new Panel(about);
    document.title = `Fits in ${about.folder}`;
    byId("title").textContent = document.title;
    const count = (n, one, many) => `${n.toLocaleString("en")} ${n === 1 ? one : many}`;
    const people = about.tracks ? `${count(about.people, "fit", "fits")} of ${count(about.tracks, "track", "tracks")}` : count(about.people, "person", "people");
    const parts = [`${people} in ${count(about.photos, "photo", "photos")}`];
    if (about.failed) parts.push(`${about.failed.toLocaleString("en")} failed`);
    parts.push(`${about.doubtful.toLocaleString("en")} with a flag that may mean a bad fit`);
    if (about.median !== null) parts.push(`median of the expected error ${about.median} mm`);
    byId("summary").textContent = parts.join(" \u00b7 ");
    byId("remarks").hidden = false;
    const remarks = [`Made by smplifyx ${about.version} on ${about.date}. The expected error is the mean surface error of synthetic people with similar residuals, not a measurement: look at the pictures.`, ...about.remarks];
    byId("remarks").querySelector("ul").replaceChildren(...remarks.map((text) => el("li", { text })));
    const flags = Object.entries(about.flags).map(([name, flag]) => el("option", { value: name, text: `${name} (${flag.count})` }));
    byId("flag").append(el("option", { value: "*", text: "any flag" }), el("option", { value: "!", text: "any that may be bad" }), el("option", { value: "-", text: "none" }), ...flags);
    chunksLeft = about.chunks;
    for (let k = 0; k < about.chunks; k++) document.head.append(el("script", { src: `index/${k}.js`, async: false }));
  }

  function addRows({ number, people }) {
    people.forEach((row, k) => {
      row.rank = number * 1000 + k;
      row.everything = [row.photo, row.person, row.status, row.gender, row.reason, row.camera, row.view, ...(row.flags || []),
        ...(row.flags || []).map((name) => (about.flags[name] || {}).title), ...Object.values(row.extra || {})].join(" ").toLowerCase();
    });
    rows.push(...people);
    chunksLeft -= 1;
    if (chunksLeft === 0) fillChoices();
    if (chunksLeft === 0 || number === 0) filter();
    if (chunksLeft === 0) openFromAddress();
  }

  function fillChoices() {
    const values = (get) => [...new Set(rows.map(get).filter((value) => value !== undefined && value !== ""))];
    const order = new Intl.Collator("en", { numeric: true }).compare;
    byId("gender").append(...values((row) => row.gender).sort().map((text) => el("option", { value: text, text })));
    const tracks = values((row) => row.track).sort(order);
    byId("track").append(...tracks.map((text) => el("option", { value: text, text })));
    byId("track-label").hidden = !tracks.length;
  }

  // ---- filters and order

  /** A test for names: the text in them, or a pattern with * and ?. */
  function nameTest(text) {
    const wanted = text.trim().toLowerCase();
    if (!/[*?]/.test(wanted)) return (name) => name.toLowerCase().includes(wanted);
    const pattern = wanted.replace(/[.+^${}()|[\]\\]/g, "\\$&").replace(/\*/g, ".*").replace(/\?/g, ".");
    const expression = new RegExp(`^${pattern}$`, "s");
    return (name) => expression.test(name.toLowerCase());
  }

  const flagTests = {
    "": () => true,
    "*": (row) => (row.flags || []).length > 0,
    "-": (row) => !(row.flags || []).length,
    "!": (row) => (row.flags || []).some((name) => (about.flags[name] || { problem: true }).problem),
  };

  function filter() {
    const [file, text, gender, flag, track, order] = inputs.map((input) => input.value);
    const [isNamed, words] = [nameTest(file), text.toLowerCase().split(/\s+/).filter(Boolean)];
    const hasFlag = flagTests[flag] || ((row) => (row.flags || []).includes(flag));
    shown = rows.filter((row) => isNamed(row.photo) && words.every((word) => row.everything.includes(word))
      && (!gender || row.gender === gender) && hasFlag(row) && (!track || (row.track) === track));
    if (order === "name") {
      const compare = new Intl.Collator("en", { numeric: true }).compare;
      shown.sort((a, b) => compare(a.photo, b.photo) || compare(a.person, b.person));
    } else if (order === "worst") shown.sort((a, b) => a.rank - b.rank);
    else shown.sort((a, b) => (b[order] ?? -1) - (a[order] ?? -1));
    page = 0;
    draw();
  }

  // ---- the grid

  function tile(row) {
    const picture = el("span", { class: "picture" });
    const source = row.thumbnail || row.overlay; // of very many people, the worst ones alone have a thumbnail
    if (source) picture.append(el("img", { src: source, alt: "", loading: "lazy", decoding: "async", width: 240, height: 320 }));
    else picture.append(el("span", { class: "none", text: row.status ? "not fitted" : "no picture" }));
    if (row.error !== undefined) picture.append(el("span", { class: "figure", title: "expected error" }, el("span", { class: "spoken", text: "expected error " }), `${row.error} mm`));
    const flags = row.flags || [];
    const chips = flags.slice(0, 2).map((name) => {
      const { title, problem } = about.flags[name] || { title: name, problem: true };
      return el("span", { class: `chip ${row.status ? "failed" : problem ? "problem" : ""}`, text: name.replaceAll("_", " "), title });
    });
    if (flags.length > 2) chips.push(el("span", { class: "chip", text: `+${flags.length - 2}` }));
    if (row.status && !flags.length) chips.push(el("span", { class: "chip failed", text: row.status }));
    const facts = [`person\u00a0${row.person.replace(/^0+(?=\d)/, "").replace("_", ", ")}`, row.gender, row.pixels !== undefined ? `${row.pixels}\u00a0px` : null,
      row.track !== undefined ? `track\u00a0${row.track}` : null, row.view];
    const button = el("button", {
      type: "button", class: "tile", "data-id": row.id, tabindex: -1,
    }, picture, el("span", { class: "text" }, el("span", { class: "photo", text: row.photo }), el("span", { class: "about", text: facts.filter(Boolean).join(" \u00b7 ") }), ...chips));
    button.addEventListener("click", () => open(shown.indexOf(row)));
    return el("li", {}, button);
  }

  function draw() {
    const n = Math.max(1, Math.ceil(shown.length / PER_PAGE));
    page = Math.min(page, n - 1);
    const start = page * PER_PAGE;
    grid.replaceChildren(...shown.slice(start, start + PER_PAGE).map(tile));
    if (!shown.length) grid.append(el("li", { class: "empty", text: rows.length ? "Nobody matches the filters." : "Loading" }));
    const first = grid.querySelector(".tile");
    if (first) first.tabIndex = 0;
    byId("count").textContent = shown.length === rows.length && chunksLeft === 0
      ? `${rows.length.toLocaleString("en")} ${rows.length === 1 ? "person" : "people"}`
      : `${shown.length.toLocaleString("en")} of ${about.people.toLocaleString("en")} people`;
    const go = (to) => () => {
      page = to;
      draw();
      window.scrollTo({ top: 0 });
      focusTile(0);
    };
    byId("pages").hidden = n < 2;
    byId("pages").replaceChildren(
      el("button", { type: "button", text: "First", disabled: page === 0, onclick: go(0) }),
      el("button", { type: "button", text: "Previous", disabled: page === 0, onclick: go(page - 1) }),
      el("span", { text: `page ${page + 1} of ${n}` }),
      el("button", { type: "button", text: "Next", disabled: page === n - 1, onclick: go(page + 1) }),
      el("button", { type: "button", text: "Last", disabled: page === n - 1, onclick: go(n - 1) }));
  }

  function focusTile(number) {
    const tiles = [...grid.querySelectorAll(".tile")];
    const wanted = tiles[Math.max(0, Math.min(number, tiles.length - 1))];
    if (!wanted) return;
    tiles.forEach((one) => (one.tabIndex = one === wanted ? 0 : -1));
    wanted.focus();
  }

  grid.addEventListener("keydown", (event) => {
    const tiles = [...grid.querySelectorAll(".tile")];
    const at = tiles.indexOf(document.activeElement);
    if (at < 0 || event.ctrlKey || event.metaKey || event.altKey) return;
    const top = tiles[0].getBoundingClientRect().top;
    const across = tiles.filter((one) => one.getBoundingClientRect().top === top).length;
    const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -across, ArrowDown: across, Home: -at, End: tiles.length - 1 - at };
    if (!(event.key in steps)) return;
    event.preventDefault();
    focusTile(at + steps[event.key]);
  });

  // ---- one person

  async function open(position) {
    if (position < 0 || position >= shown.length) return;
    current = position;
    const row = shown[position];
    byId("name").textContent = `${row.photo}, person ${row.person}`;
    byId("place").textContent = `${(position + 1).toLocaleString("en")} of ${shown.length.toLocaleString("en")}`;
    byId("previous").disabled = position === 0;
    byId("next").disabled = position === shown.length - 1;
    if (!dialog.open) dialog.showModal();
    document.body.classList.add("open");
    history.replaceState(null, "", `#${row.id}`);
    const details = row.details ? await load(row.details, row.id) : null;
    const key = details && details.mesh ? details.mesh.faces : null;
    if (key && !(key in loadedFaces)) loadedFaces[key] = await load(`meshes/${key}.js`, key);
    if (current !== position || !dialog.open) return;
    await panel.show(row, details, key ? loadedFaces[key] : null);
    dialog.scrollTop = 0;
    // what had the focus may be gone
    if (!dialog.contains(document.activeElement)) byId("close").focus({ preventScroll: true });
  }

  function openFromAddress() {
    const position = shown.findIndex((row) => `#${row.id}` === location.hash);
    if (position >= 0) open(position);
  }

  dialog.addEventListener("close", () => {
    document.body.classList.remove("open");
    history.replaceState(null, "", location.pathname + location.search);
    const wanted = Math.floor(current / PER_PAGE);
    if (wanted !== page) {
      page = wanted;
      draw();
    }
    focusTile(current - page * PER_PAGE);
  });
  document.addEventListener("keydown", (event) => {
    if (!dialog.open || event.target.matches("input, select") || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "ArrowLeft") open(current - 1);
    else if (event.key === "ArrowRight") open(current + 1);
    else return;
    event.preventDefault();
  });
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close(); // beside the panel
  });
  byId("close").addEventListener("click", () => dialog.close());
  byId("previous").addEventListener("click", () => open(current - 1));
  byId("next").addEventListener("click", () => open(current + 1));
  byId("filters").addEventListener("submit", (event) => event.preventDefault());
  byId("clear").addEventListener("click", () => {
    byId("filters").reset();
    filter();
  });
  inputs.forEach((input) => input.addEventListener("input", filter));
  document.addEventListener("keydown", (event) => {
    if (event.key !== "/" || dialog.open || event.target.matches("input, select")) return;
    event.preventDefault();
    byId("text").focus();
  });

  return {
    about: begin,
    rows: addRows,
    person: (values) => arrived(values.id, values),
    faces: (values) => arrived(values.name, values),
  };
})();
