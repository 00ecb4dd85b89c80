// The page: what a person opens, looks for and points at.
"use strict";

(async () => {
  const $ = (id) => document.getElementById(id);
  const scene = JSON.parse($("scene").textContent);
  const index = draw.indexed(scene);
  let open = scene.expand ? draw.all(index) : draw.opened(index), hits = [], at = -1, zoom = null;
  const viz = await Viz.instance();

  // --------------------------------------------------------------------------------- the picture

  function show(focus) {
    const count = draw.shown(index, open).length;
    if (count > draw.MOST) {
      $("told").textContent = `${count.toLocaleString("en")} boxes are too many to draw at once`;
      return false;
    }
    $("picture").innerHTML = draw.drawn(viz, index, open, "");
    const params = (scene.params || 0).toLocaleString("en");
    $("told").textContent = `${count} of ${index.boxes.size.toLocaleString("en")} boxes, ` +
      `${params} parameters`;
    scaled();
    mark();
    if (focus) boxOf(focus)?.focus();
    return true;
  }

  const boxOf = (id) => $("picture").querySelector(`[data-id="${CSS.escape(id)}"]`);

  function toggle(id) {
    const box = index.boxes.get(id);
    if (!box || !box.boxes) return;
    const before = new Set(open);
    if (!open.delete(id)) open.add(id);
    if (!show(id)) open = before;
  }

  function scaled() {
    const svg = $("picture").querySelector("svg");
    const [, , width, height] = svg.getAttribute("viewBox").split(" ").map(Number);
    const room = $("picture").getBoundingClientRect();
    const fit = Math.min(1.4, (room.width - 24) / width);
    const by = zoom ?? Math.max(0.35, fit);
    svg.setAttribute("width", width * by);
    svg.setAttribute("height", height * by);
    return by;
  }

  function zoomBy(factor) {
    zoom = Math.min(6, Math.max(0.05, scaled() * factor));
    scaled();
  }

  $("picture").addEventListener("click", (event) => {
    const box = event.target.closest?.(".box");
    if (box) toggle(box.dataset.id);
  });
  $("picture").addEventListener("wheel", (event) => {
    if (!event.ctrlKey) return;
    event.preventDefault();
    zoomBy(event.deltaY < 0 ? 1.15 : 1 / 1.15);
  }, { passive: false });
  const light = (event, on) => {
    const id = event.target.closest?.(".box")?.dataset.id;
    $("picture").querySelectorAll(".wire").forEach((wire) => {
      const near = wire.dataset.from === id || wire.dataset.to === id;
      wire.classList.toggle("lit", on && near);
    });
  };
  $("picture").addEventListener("mouseover", (event) => light(event, true));
  $("picture").addEventListener("focusin", (event) => light(event, true));

  // ---------------------------------------------------------------------------------- the search

  function search() {
    const words = $("words").value.trim().toLowerCase();
    hits = [];
    if (words) {
      index.boxes.forEach((box, id) => {
        if (box.kind === "run") return;
        const told = `${id} ${box.title} ${box.text || ""} ${box.shape || ""}`.toLowerCase();
        if (words.split(/\s+/).every((word) => told.includes(word))) hits.push(id);
      });
    }
    at = hits.length ? 0 : -1;
    reach();
  }

  // Open what is around the hit, and bring it into sight.
  function reach() {
    $("found").textContent = $("words").value.trim()
      ? (hits.length ? `${at + 1} of ${hits.length}` : "nothing") : "";
    if (at < 0) return mark();
    for (let id = index.around.get(hits[at]); id != null; id = index.around.get(id)) open.add(id);
    show();
    boxOf(hits[at])?.scrollIntoView({ block: "center", inline: "center" });
  }

  function mark() {
    $("picture").querySelectorAll(".hit").forEach((box) => box.classList.remove("hit"));
    if (at >= 0) boxOf(hits[at])?.classList.add("hit");
  }

  $("words").addEventListener("input", search);
  $("search").addEventListener("submit", (event) => {
    event.preventDefault();
    if (!hits.length) return;
    at = (at + 1) % hits.length;
    reach();
  });

  // ----------------------------------------------------------------------------------- the table

  function table() {
    const rows = [];
    const walk = (list, depth) => list.forEach((box) => {
      rows.push([box, depth]);
      walk(box.boxes || [], depth + 1);
    });
    walk(scene.boxes, 0);
    const made = document.createElement("table");
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
      cell(box.title).style.paddingLeft = `${depth * 1.4}em`;
      [box.kind, box.text, box.shape].forEach((value) => cell(value));
      [box.params, box.macs].forEach((value) => cell(value, "number"));
    });
    $("table").replaceChildren(made);
  }

  $("as-table").addEventListener("click", () => {
    const on = $("table").hidden;
    if (on && !$("table").firstChild) table();
    $("table").hidden = !on;
    $("picture").hidden = on;
    $("as-table").setAttribute("aria-pressed", String(on));
  });

  // ------------------------------------------------------------------------------ tools and keys

  function themed(dark) {
    document.documentElement.dataset.theme = dark ? "dark" : "light";
    $("theme").textContent = dark ? "Light" : "Dark";
  }

  $("theme").addEventListener("click", () => {
    themed(document.documentElement.dataset.theme !== "dark");
  });
  $("open-all").addEventListener("click", () => {
    const before = open;
    open = draw.all(index);
    if (!show()) open = before;
  });
  $("close-all").addEventListener("click", () => {
    open = new Set();
    show();
  });
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
      toggle(box.dataset.id);
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
  if (!show()) {
    open = draw.opened(index);
    show();
  }
})();
