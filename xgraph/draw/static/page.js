// The page: what a person opens, looks for and points at, in one network or in two beside each other.
"use strict";

// One network in its pane.
class Drawing {
  constructor(pane, scene) {
    this.pane = pane;
    this.scene = scene;
    this.index = draw.indexed(scene);
    pane.addEventListener("mouseover", (event) => this.light(event));
    pane.addEventListener("focusin", (event) => this.light(event));
  }

  show(viz, open) {
    this.pane.innerHTML = draw.drawn(viz, [this.index], open);
  }

  box(id) {
    return this.pane.querySelector(`[data-id="${CSS.escape(id)}"]`);
  }

  // The ids of the boxes around one, inside out.
  around(id) {
    const found = [];
    for (let at = this.index.around.get(id); at != null; at = this.index.around.get(at)) found.push(at);
    return found;
  }

  mark(ids) {
    this.pane.querySelectorAll(".hit").forEach((box) => box.classList.remove("hit"));
    ids.forEach((id) => this.box(id)?.classList.add("hit"));
  }

  light(event) {
    const id = event.target.closest?.(".box")?.dataset.id;
    this.pane.querySelectorAll(".wire").forEach((wire) => {
      wire.classList.toggle("lit", wire.dataset.from === id || wire.dataset.to === id);
    });
  }

  // By `zoom`, or so that it fits into its pane; tells which that is.
  scale(zoom) {
    const svg = this.pane.querySelector("svg");
    const [, , width, height] = svg.getAttribute("viewBox").split(" ").map(Number);
    const fit = Math.min(1.4, (this.pane.getBoundingClientRect().width - 24) / width);
    const by = zoom ?? Math.max(0.35, fit);
    svg.setAttribute("width", width * by);
    svg.setAttribute("height", height * by);
    return by;
  }

  table() {
    const rows = [];
    const walk = (list, depth) => list.forEach((box) => {
      rows.push([box, depth]);
      walk(box.boxes || [], depth + 1);
    });
    walk(this.scene.boxes, 0);
    const made = document.createElement("table");
    made.createCaption().textContent = this.scene.name;
    const head = made.createTHead().insertRow();
    ["part", "kind", "is", "shape", "parameters", "multiply-accumulates"].forEach((name) => {
      const cell = document.createElement("th");
      cell.scope = "col";
      cell.textContent = name;
      head.append(cell);
    });
    const body = made.createTBody();
    rows.forEach(([box, depth]) => {
      const row = body.insertRow();
      const cell = (value, kind) => {
        const one = row.insertCell();
        one.textContent = typeof value === "number" ? value.toLocaleString("en") : value || "";
        if (kind) one.className = kind;
        return one;
      };
      cell(`${box.sign || ""} ${box.title}`.trim()).style.paddingLeft = `${depth * 1.4}em`;
      [box.kind, box.text, box.shape].forEach((value) => cell(value));
      [box.params, box.macs].forEach((value) => cell(value, "number"));
    });
    return made;
  }
}

(async () => {
  const $ = (id) => document.getElementById(id);
  const sheet = JSON.parse($("sheet").textContent);
  const panes = [...document.querySelectorAll(".pane")];
  const drawings = sheet.scenes.map((scene, i) => new Drawing(panes[i], scene));
  const each = (ids) => new Set(drawings.flatMap((drawing) => [...ids(drawing.index)]));
  // What is open, by id, so that a box of both networks opens in both; what was found, as ids in each
  // drawing, and which of that a person is at.
  let open = new Set(), hits = [], at = -1, zoom = null;
  const viz = await Viz.instance();

  // -------------------------------------------------------------------------------- the pictures

  // Draw with these boxes open, and tell whether they are few enough.
  function show(wanted) {
    const count = drawings.reduce((sum, { index }) => sum + draw.shown(index, wanted).length, 0);
    if (count > draw.MOST) {
      $("told").textContent = `${count.toLocaleString("en")} boxes are too many to draw at once`;
      return false;
    }
    open = wanted;
    drawings.forEach((drawing) => drawing.show(viz, open));
    const all = drawings.reduce((sum, { index }) => sum + index.boxes.size, 0);
    $("told").textContent = `${count} of ${all.toLocaleString("en")} boxes, ${sheet.note}`;
    scaled();
    mark();
    return true;
  }

  const drawingOf = (box) => drawings.find((drawing) => drawing.pane.contains(box));

  function toggle(box) {
    const drawing = drawingOf(box), { id } = box.dataset;
    if (!drawing.index.boxes.get(id).boxes) return;
    const wanted = new Set(open);
    if (!wanted.delete(id)) wanted.add(id);
    if (show(wanted)) drawing.box(id).focus();
  }

  // All by one measure, that of the widest.
  function scaled() {
    const by = zoom ?? Math.min(...drawings.map((drawing) => drawing.scale(null)));
    drawings.forEach((drawing) => drawing.scale(by));
    return by;
  }

  function zoomBy(factor) {
    zoom = Math.min(6, Math.max(0.05, scaled() * factor));
    scaled();
  }

  $("picture").addEventListener("click", (event) => {
    const box = event.target.closest?.(".box");
    if (box) toggle(box);
  });
  $("picture").addEventListener("wheel", (event) => {
    if (!event.ctrlKey) return;
    event.preventDefault();
    zoomBy(event.deltaY < 0 ? 1.15 : 1 / 1.15);
  }, { passive: false });

  // ---------------------------------------------------------------------- the search, the changes

  function search() {
    const words = $("words").value.trim().toLowerCase();
    hits = [];
    if (words) {
      drawings.forEach((drawing) => drawing.index.boxes.forEach((box, id) => {
        if (box.kind === "run") return;
        const told = `${id} ${box.title} ${box.text || ""} ${box.shape || ""}`.toLowerCase();
        if (!words.split(/\s+/).every((word) => told.includes(word))) return;
        hits.push(drawings.map((other) => (other === drawing ? [id] : [])));
      }));
    }
    at = hits.length ? 0 : -1;
    reach();
    if (words && !hits.length) $("found").textContent = "nothing";
  }

  // Open what is around the hit, alone where all would be too many, and bring it into sight.
  function reach() {
    $("found").textContent = at < 0 ? "" : `${at + 1} of ${hits.length}`;
    if (at < 0) return mark();
    const around = drawings.flatMap((drawing, i) => hits[at][i].flatMap((id) => drawing.around(id)));
    if (!show(new Set([...open, ...around]))) show(new Set(around));
    drawings.forEach((drawing, i) => {
      drawing.box(hits[at][i][0] ?? "")?.scrollIntoView({ block: "center", inline: "center" });
    });
  }

  function mark() {
    drawings.forEach((drawing, i) => drawing.mark(at < 0 ? [] : hits[at][i]));
  }

  $("words").addEventListener("input", search);
  $("search").addEventListener("submit", (event) => {
    event.preventDefault();
    if (!hits.length) return;
    at = (at + 1) % hits.length;
    reach();
  });
  document.querySelectorAll("#changes button").forEach((button, i) => {
    button.addEventListener("click", () => {
      $("words").value = "";
      hits = sheet.changes;
      at = i;
      reach();
    });
  });

  // ------------------------------------------------------------------------------ tools and keys

  $("as-table").addEventListener("click", () => {
    const on = $("table").hidden;
    if (on) $("table").replaceChildren(...drawings.map((drawing) => drawing.table()));
    $("table").hidden = !on;
    $("picture").hidden = on;
    $("as-table").setAttribute("aria-pressed", String(on));
  });

  function themed(dark) {
    document.documentElement.dataset.theme = dark ? "dark" : "light";
    $("theme").textContent = dark ? "Light" : "Dark";
  }

  $("theme").addEventListener("click", () => {
    themed(document.documentElement.dataset.theme !== "dark");
  });
  $("open-all").addEventListener("click", () => show(each(draw.all)));
  $("close-all").addEventListener("click", () => show(new Set()));
  $("larger").addEventListener("click", () => zoomBy(1.25));
  $("smaller").addEventListener("click", () => zoomBy(0.8));
  $("fit").addEventListener("click", () => {
    zoom = null;
    scaled();
  });
  window.addEventListener("resize", scaled);
  document.addEventListener("keydown", (event) => {
    if (event.target === $("words")) {
      if (event.key === "Escape") $("picture").focus();
      return;
    }
    const box = event.target.closest?.(".box");
    if (event.key === "/") {
      event.preventDefault();
      $("words").focus();
    } else if (event.key === "+" || event.key === "=") zoomBy(1.25);
    else if (event.key === "-") zoomBy(0.8);
    else if (event.key === "0") $("fit").click();
    else if (box && (event.key === "Enter" || event.key === " ")) {
      event.preventDefault();
      toggle(box);
    } else if (event.key.startsWith("Arrow") && (box || event.target === $("picture"))) {
      const boxes = [...$("picture").querySelectorAll(".box")];
      const step = event.key === "ArrowDown" || event.key === "ArrowRight" ? 1 : -1;
      const next = boxes[boxes.indexOf(box) + step];
      if (!next) return;
      event.preventDefault();
      next.focus();
    }
  });

  themed(window.matchMedia("(prefers-color-scheme: dark)").matches);
  if (!sheet.expand || !show(each(draw.all))) show(each(draw.opened));
})();
