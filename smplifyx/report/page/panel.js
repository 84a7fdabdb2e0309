// The panel of one person: photo with slider and keypoints, views of the mesh, flags, figures, plots.
"use strict";

class Panel {
  /** @param about the values of the whole report, from about.js */
  constructor(about) {
    this.about = about;
    this.root = document.getElementById("panel");
  }

  /** Show a row of the grid; `details` and `faces` come from scripts of their own and may be missing. */
  async show(row, details, faces) {
    const own = (this.shown = {});
    let geometry = null;
    if (details && details.mesh && faces) {
      try {
        geometry = await meshes.geometry(details.mesh, faces);
      } catch {
        geometry = null; // an old browser without DecompressionStream
      }
    }
    if (this.shown !== own) return;
    const viewer = geometry ? meshes.viewer() : null;
    if (viewer) viewer.show(geometry, details.colour);
    const sections = [this.pictures(row, details, viewer), this.facts(row, details), this.views(row, details, viewer)];
    if (details) sections.push(this.parts(details), this.losses(details));
    this.root.replaceChildren(...sections.filter(Boolean));
    if (viewer) viewer.resize();
    if (viewer) viewer.look("front");
  }

  section(title, ...children) {
    return el("section", { "aria-label": title }, el("h3", { text: title }), ...children);
  }

  // ---- photo, overlay, keypoints

  pictures(row, details, viewer) {
    const photo = details && details.photo;
    let overlay = row.overlay, drawn = false;
    if (!overlay && viewer && details) [overlay, drawn] = [viewer.overlay(details), true];
    if (!photo && !overlay) {
      return this.section("Photo", el("p", { class: "hint", text: row.status ? "This person was not fitted." : "There are no pictures of this person." }));
    }
    const name = `${row.photo}, person ${row.person}`;
    const stage = el("div", { class: "stage" });
    const layers = el("div", { class: "layers" });
    stage.append(layers);
    const image = (src, alt) => el("img", { src, alt, decoding: "async" });
    if (photo) layers.append(image(photo, `The photo of ${name}`));
    const after = overlay ? image(overlay, `The fitted body of ${name} over the photo`) : null;
    if (after) layers.append(after);
    if (after && viewer && details && !drawn) {
      // a report that was copied without the pictures of its run
      after.addEventListener("error", () => {
        after.src = viewer.overlay(details);
        stage.querySelectorAll(".label.right").forEach((label) => (label.textContent = "fit (drawn here)"));
      }, { once: true });
    }
    const controls = el("div", { class: "controls" });
    const size = details ? details.size : null;
    if (size) this.frame(stage, layers, size);
    else if (after) {
      after.addEventListener("load", () => this.frame(stage, layers, [after.naturalWidth, after.naturalHeight]));
    }
    if (photo && after) this.addSlider(stage, after, controls, drawn);
    if (details) this.addKeypoints(stage, layers, controls, details);
    const children = [stage, controls];
    if (!photo && details) children.push(el("p", { class: "hint", text: "The photo is not there any more." }));
    return this.section("Photo and fit", ...children);
  }

  /** Give the stage the shape of the photo. */
  frame(stage, layers, [width, height]) {
    stage.style.aspectRatio = `${width} / ${height}`;
    stage.style.width = `min(100%, calc(74vh * ${width / height}))`;
    this.photoSize = [width, height];
  }

  addSlider(stage, after, controls, drawn) {
    const edge = el("div", { class: "edge" });
    const left = el("span", { class: "label left", text: "photo" });
    const right = el("span", { class: "label right", text: drawn ? "fit (drawn here)" : "fit" });
    const input = el("input", { type: "range", min: 0, max: 100, value: 50, id: "slider", "aria-label": "Where the photo ends and the fit begins" });
    const update = () => {
      const share = Number(input.value);
      input.setAttribute("aria-valuetext", `${share} % photo`);
      // of the stage, not of the layers: they may be enlarged
      const [scale, x] = this.zoom || [1, 0];
      after.style.clipPath = `inset(0 0 0 ${((share / 100 - x) / scale) * 100}%)`;
      edge.style.left = `${share}%`;
      edge.hidden = share <= 0 || share >= 100;
      left.hidden = share < 12;
      right.hidden = share > 88;
    };
    input.addEventListener("input", update);
    const drag = (event) => {
      if (event.type === "pointerdown") stage.setPointerCapture(event.pointerId);
      else if (!stage.hasPointerCapture(event.pointerId)) return;
      const box = stage.getBoundingClientRect();
      input.value = (100 * (event.clientX - box.left)) / box.width;
      update();
    };
    stage.addEventListener("pointerdown", drag);
    stage.addEventListener("pointermove", drag);
    stage.style.touchAction = "pan-y";
    stage.style.cursor = "ew-resize";
    stage.append(edge, left, right);
    controls.append(el("label", { class: "slide" }, el("span", { text: "fit" }), input, el("span", { text: "photo" })));
    this.slider = input;
    this.updateSlider = update;
    update();
  }

  addKeypoints(stage, layers, controls, details) {
    const [width, height] = details.size;
    const seen = details.keypoints.map(([x, y, confidence]) => (confidence > 0 && x !== null ? [x, y, confidence] : null));
    const found = seen.filter(Boolean);
    if (!found.length) return;
    const low = [0, 1].map((k) => Math.min(...found.map((point) => point[k])));
    const high = [0, 1].map((k) => Math.max(...found.map((point) => point[k])));
    const person = Math.max(high[0] - low[0], high[1] - low[1], 1);
    const fitted = details.keypoints.map(([, , confidence, x, y]) => (confidence > 0 && x !== null ? [x, y] : null));
    const drawing = svg("svg", { viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" });
    const groups = { seen: svg("g", { class: "seen" }), fitted: svg("g", { class: "fitted" }) };
    const unit = Math.min(person / 160, Math.max(width, height) / 250);
    for (const [kind, points] of Object.entries({ seen, fitted })) {
      const group = groups[kind];
      for (const [a, b] of this.about.bones) {
        if (!points[a] || !points[b]) continue;
        const thick = Math.max(a, b) < 25 ? 0.9 : 0.4;
        group.append(svg("line", { x1: points[a][0], y1: points[a][1], x2: points[b][0], y2: points[b][1], "stroke-width": thick * unit, "stroke-opacity": 0.75 }));
      }
      points.forEach((point, k) => {
        if (!point) return;
        const dot = svg("circle", { cx: point[0], cy: point[1], r: (k < 25 ? 1.5 : 0.6) * unit, stroke: "none" });
        const sure = kind === "seen" ? `, confidence ${point[2]}` : "";
        dot.append(svg("title", {}, `${this.about.keypoints[k]}, ${kind === "seen" ? "observed" : "fitted"}${sure}`));
        group.append(dot);
      });
      drawing.append(group);
    }
    groups.seen.setAttribute("visibility", "hidden");
    groups.fitted.setAttribute("visibility", "hidden");
    layers.append(drawing);
    const toggle = (text, use, pressed, kind) => {
      const button = el("button", { type: "button", "aria-pressed": String(pressed), "data-toggle": text }, kind ? el("span", { class: `key ${kind}` }, el("span", { text })) : text);
      button.addEventListener("click", () => {
        const now = button.getAttribute("aria-pressed") !== "true";
        button.setAttribute("aria-pressed", String(now));
        use(now);
      });
      controls.append(button);
      return button;
    };
    const show = (kind) => (now) => groups[kind].setAttribute("visibility", now ? "visible" : "hidden");
    toggle("observed keypoints", show("seen"), false, "one");
    toggle("fitted keypoints", show("fitted"), false, "two");
    // a person who is small in the photo is enlarged
    const scale = Math.min(width / Math.max(1.35 * (high[0] - low[0]), 1), height / Math.max(1.35 * (high[1] - low[1]), 1), 12);
    this.zoom = [1, 0];
    const enlarge = (now) => {
      const middle = [(low[0] + high[0]) / 2 / width, (low[1] + high[1]) / 2 / height];
      const s = now ? scale : 1;
      const place = middle.map((share) => (now ? Math.min(0, Math.max(1 - s, 0.5 - s * share)) : 0));
      layers.style.transform = `translate(${place[0] * 100}%, ${place[1] * 100}%) scale(${s})`;
      this.zoom = [s, place[0]];
      if (this.updateSlider && stage.querySelector(".edge")) this.updateSlider();
    };
    if (scale > 1.4) {
      toggle("enlarge", enlarge, scale > 2);
      enlarge(scale > 2);
    } else enlarge(false);
    // the edge starts in the middle of the person
    if (this.slider && stage.querySelector(".edge")) {
      const share = this.zoom[1] + (this.zoom[0] * (low[0] + high[0])) / 2 / width;
      this.slider.value = Math.round(100 * Math.min(0.95, Math.max(0.05, share)));
      this.updateSlider();
    }
  }

  // ---- mesh

  views(row, details, viewer) {
    const stills = el("div", { class: "still" });
    const add = (src, alt, caption) => stills.append(el("figure", {}, el("img", { src, alt }), el("figcaption", { text: caption })));
    const section = (turn) => {
      const made = this.section("Body in space", el("div", { class: "views" }, el("figure", {}, ...turn), stills));
      made.classList.add("wide");
      return made;
    };
    if (!viewer) {
      if (row.side) add(row.side, "The body from the side", "from the side; the camera is on the left");
      const why = details && details.mesh ? "This browser cannot draw meshes." : "This report holds no mesh of this person.";
      return row.status ? null : section([el("p", { class: "hint", text: why })]);
    }
    add(viewer.still("side"), "The body from the side", "from the side; the camera is on the left");
    add(viewer.still("above"), "The body from above", "from above; the camera is below the picture");
    viewer.canvas.setAttribute("aria-label", "The body to turn: arrow keys turn it, plus and minus zoom");
    const turn = el("div", { class: "turn" }, viewer.canvas);
    const controls = el("div", { class: "controls" });
    for (const from of ["front", "side", "above", "back"]) {
      controls.append(el("button", { type: "button", text: from, onclick: () => viewer.look(from) }));
    }
    const [x, y, z] = ["x", "y", "z"].map((axis) => viewer.extent[axis].toFixed(2));
    const keys = el("p", { class: "hint keys", text: "Drag or use the arrow keys to turn, scroll or + and - to zoom." });
    const hint = el("p", { class: "hint", text: `${x} m wide, ${y} m high, ${z} m deep; a square of the floor is 0.25 m.` });
    return section([turn, controls, keys, hint]);
  }

  // ---- words and numbers

  facts(row, details) {
    const flags = (row.flags || []).map((name) => {
      const { title, meaning, problem } = this.about.flags[name] || { title: name, meaning: "", problem: true };
      const text = title.charAt(0).toUpperCase() + title.slice(1);
      return el("li", { class: problem ? "problem" : undefined }, el("strong", { text }), el("p", {}, ...this.withOptions(meaning)), el("code", { text: name }));
    });
    const list = flags.length ? el("ul", { class: "flags" }, ...flags) : el("p", { class: "hint", text: "No flags: nothing about this fit was found to be doubtful." });
    const figures = details ? details.figures : this.figuresOfRow(row);
    const extra = Object.entries(row.extra || {});
    const table = el("table", { class: "figures" }, el("tbody", {}, ...[...figures, ...extra].map(([label, text]) =>
      el("tr", {}, el("th", { scope: "row", text: label }), el("td", { text })))));
    const made = el("section", { "aria-label": "Flags and figures" }, el("h3", { text: "Flags" }), list,
      el("h3", { text: "Figures", style: "margin-top:1rem" }), table);
    if (!details && !row.status) made.append(el("p", { class: "hint", text: "Keypoints, plots and mesh are in reports with more details: smplifyx report OUTPUT --details N" }));
    return made;
  }

  /** A text whose options of the command line do not break over lines. */
  withOptions(text) {
    return text.split(/(--[\w.-]*\w)/).map((part, k) => (k % 2 ? el("code", { text: part }) : part));
  }

  figuresOfRow(row) {
    const figures = [
      ["Status", row.status], ["Expected error", row.error, " mm"], ["Reprojection error", row.pixels, " px"],
      ["Keypoints used", row.keypoints], ["Self-penetration", row.penetration, " mm"], ["Loss", row.loss],
      ["Time", row.seconds, " s"], ["Gender", row.gender], ["Reason", row.reason], ["Focal length", row.camera],
    ];
    return figures.filter(([, value]) => value !== undefined).map(([label, value, unit]) => [label, `${value}${unit || ""}`]);
  }

  parts(details) {
    if (!details.residuals.length) return null;
    const rows = details.residuals.map((one) => [one.part, one.mean, one.points, `${one.worst}, ${plots.number(one.most)} px`]);
    return this.section("Residuals by part of the body",
      plots.bars("Distance between observed and fitted keypoints", ["part", "mean, px", "points", "worst point"], rows),
      el("p", { class: "hint", text: "Distance between observed and fitted keypoints, weighted by confidence, in pixels of the photo." }));
  }

  losses(details) {
    const last = ([, values]) => values[values.length - 1] || 0;
    const terms = [...details.terms].sort((a, b) => last(b) - last(a));
    const hint = (text) => el("p", { class: "hint", text });
    const weighted = "The terms' weights are included: the sum is the loss that was minimised.";
    const differing = "Stages have different weights, so their losses need not fall.";
    const stages = details.stages.map((value, k) => [`stage ${k + 1}`, value]);
    if (stages.length > 1 && details.terms.every(([, values]) => values.length === stages.length)) {
      const made = this.section("Losses by term and stage",
        plots.shares("Share of the terms in the loss", details.terms, details.stages), hint(differing),
        plots.courses("Loss of each term at the end of each stage", terms),
        hint(`${weighted} A bar is relative to the largest value of its row.`));
      made.classList.add("wide");
      return made;
    }
    return this.section("Losses",
      plots.bars("Loss by term", ["term at the end", "loss"], terms.map((term) => [term[0], last(term)])), hint(weighted),
      ...(stages.length > 1 ? [plots.bars("Loss by stage", ["at the end of", "loss"], stages), hint(differing)] : []));
  }
}
