// Scenes as a picture: which boxes are seen, where Graphviz puts them, and SVG of that. Runs in a page
// and in a bare engine alike, so there is no document here.
"use strict";

const draw = (() => {
  const CHAR = 6.6, LINE = 15, PAD = 10, EDGE = 12, GAP = 36;
  const OPEN = new Set(["superlayer", "fusion"]);
  // So many boxes are seen at first, and at most.
  const AT_FIRST = 200, MOST = 800;

  // ------------------------------------------------------------------------ which boxes are seen

  // Every box by id, with the id of the one around it.
  function indexed(scene) {
    const boxes = new Map(), around = new Map();
    const walk = (list, parent) => list.forEach((box) => {
      boxes.set(box.id, box);
      around.set(box.id, parent);
      walk(box.boxes || [], box.id);
    });
    walk(scene.boxes, null);
    return { scene, boxes, around };
  }

  // What is open before anyone has opened anything: super-layers and fusions, the first ones where
  // they are many.
  function opened(index) {
    const open = new Set();
    let count = index.scene.boxes.length;
    index.scene.boxes.forEach((box) => {
      if (!OPEN.has(box.kind) || !box.boxes || count + box.boxes.length > AT_FIRST) return;
      open.add(box.id);
      count += box.boxes.length;
    });
    return open;
  }

  function all(index) {
    return new Set([...index.boxes].filter(([, box]) => box.boxes).map(([id]) => id));
  }

  // The ids of all boxes that are seen.
  function shown(index, open) {
    const found = [];
    const walk = (list) => list.forEach((box) => {
      found.push(box.id);
      if (box.boxes && open.has(box.id)) walk(box.boxes);
    });
    walk(index.scene.boxes);
    return found;
  }

  // The box that is seen for one that may be hidden in a closed one.
  function seen(index, open, id) {
    let found = id;
    for (let at = index.around.get(id); at != null; at = index.around.get(at)) {
      if (!open.has(at)) found = at;
    }
    return found;
  }

  // Pairs of boxes that are seen, each once.
  function wires(index, open) {
    const found = new Map();
    index.scene.wires.forEach(([from, to]) => {
      const a = seen(index, open, from), b = seen(index, open, to);
      if (a !== b) found.set(`${a} ${b}`, [a, b]);
    });
    return [...found.values()];
  }

  // ------------------------------------------------------------------------------- where they go

  function lines(box) {
    const told = [box.title];
    if (box.text && box.text !== box.title) told.push(...box.text.split("\n"));
    if (box.shape) told.push(box.shape);
    return told;
  }

  function sized(box) {
    const told = lines(box);
    const widest = Math.max(...told.map((line) => line.length));
    return { width: Math.max(56, widest * CHAR + 2 * PAD), height: told.length * LINE + PAD };
  }

  // As Graphviz takes it: a cluster for what is open, a node of our size for all else. `newrank`
  // gives boxes of one depth one height, in whatever cluster they are.
  function dotOf(index, open) {
    const names = new Map(), found = [];
    const named = (id) => {
      if (!names.has(id)) names.set(id, names.size);
      return names.get(id);
    };
    const walk = (list) => list.forEach((box) => {
      const name = named(box.id);
      if (box.boxes && open.has(box.id)) {
        found.push(`subgraph cluster_${name} {id=${name};margin=12;label="${"m".repeat(
          Math.min(40, box.title.length))}";`);
        walk(box.boxes);
        found.push("}");
      } else {
        const { width, height } = sized(box);
        found.push(`n${name} [id=${name},width=${width / 72},height=${height / 72}];`);
      }
    });
    walk(index.scene.boxes);
    wires(index, open).forEach(([from, to]) => found.push(`n${named(from)}->n${named(to)};`));
    const dot = "digraph {newrank=true;nodesep=0.25;ranksep=0.3;fontsize=11;" +
      "node [shape=box,fixedsize=true,label=\"\"];edge [arrowhead=none];" + found.join("") + "}";
    return { dot, ids: [...names.keys()] };
  }

  // What Graphviz found: boxes as rectangles, wires as curves, with the upper left corner at a place.
  function laidOf(given, ids, left, above) {
    const [, , width, height] = given.bb.split(",").map(Number);
    const top = above + height;
    const places = new Map();
    (given.objects || []).forEach((each) => {
      const id = ids[Number(each.id)];
      if (each.bb) {
        const [x0, y0, x1, y1] = each.bb.split(",").map(Number);
        places.set(id, { id, x: left + x0, y: top - y1, width: x1 - x0, height: y1 - y0,
          isOpen: true });
      } else {
        const [x, y] = each.pos.split(",").map(Number);
        const w = each.width * 72, h = each.height * 72;
        places.set(id, { id, x: left + x - w / 2, y: top - y - h / 2, width: w, height: h,
          isOpen: false });
      }
    });
    const names = (given.objects || []).map((each) => ids[Number(each.id)]);
    const edges = (given.edges || []).map((each) => ({
      from: names[each.tail], to: names[each.head],
      points: each.pos.split(" ").map((p) => p.split(",").map(Number))
        .map(([x, y]) => [left + x, top - y]),
    }));
    return { width, height, boxes: [...places.values()], edges };
  }

  // -------------------------------------------------------------------------------------- as SVG

  const ESCAPES = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };
  const escaped = (text) => String(text).replace(/[&<>"']/g, (c) => ESCAPES[c]);
  const round = (x) => Math.round(x * 10) / 10;

  function text(x, y, line, kind) {
    return `<text class="${kind}" x="${round(x)}" y="${round(y)}" direction="ltr"` +
      ` unicode-bidi="isolate">${escaped(line)}</text>`;
  }

  const SIGNS = { "+": "added", "-": "removed", "~": "changed" };

  // What a box says of a difference; one that is closed, of what is within it, too.
  function signOf(box, isOpen) {
    const within = () => (box.boxes || []).some((inner) => signOf(inner, false));
    return box.sign || (!isOpen && within() ? "~" : "");
  }

  function told(box, sign) {
    const parts = [SIGNS[sign], box.idle && "not needed by any output", box.title, box.text, box.shape && `shape ${box.shape}`];
    if (box.params) parts.push(`${box.params.toLocaleString("en")} parameters`);
    if (box.macs) parts.push(`${box.macs.toLocaleString("en")} multiply-accumulates`);
    return parts.filter(Boolean).join(", ");
  }

  function boxOf(index, laid, isStill) {
    const box = index.boxes.get(laid.id);
    const { x, y, width, height, isOpen } = laid;
    const mark = box.boxes ? (isOpen ? "open" : "closed") : "leaf";
    const role = isStill ? ""
      : box.boxes ? ` tabindex="0" role="button" aria-expanded="${isOpen}"` : ' tabindex="0" role="img"';
    const shape = `<rect x="${round(x)}" y="${round(y)}" width="${round(width)}"` +
      ` height="${round(height)}" rx="5"/>`;
    let inner = isOpen ? "" : lines(box).map((line, i) => {
      const kind = i === 0 ? "title" : line === box.shape ? "shape" : "text";
      return text(x + width / 2, y + PAD / 2 + LINE * (i + 0.8), line, kind);
    }).join("");
    const sign = signOf(box, isOpen);
    if (sign) {
      inner += `<circle class="sign" cx="${round(x + width)}" cy="${round(y)}" r="8"/>` +
        text(x + width, y + 4, sign === "-" ? "\u2212" : sign, "sign");
    }
    const label = escaped(told(box, sign));
    const kinds = [box.kind, mark, SIGNS[sign], box.idle && "idle"].filter(Boolean).join(" ");
    return `<g class="box ${kinds}" data-id="${escaped(box.id)}"${role}` +
      ` aria-label="${label}"><title>${label}</title>${shape}${inner}</g>`;
  }

  // The title of an open box stands over the wires that cross it.
  function headOf(index, { id, x, y }) {
    const box = index.boxes.get(id);
    return text(x + 10, y + 18, box.title, box.idle ? "head idle" : "head");
  }

  function wireOf(edge, tip) {
    const [start, ...rest] = edge.points.map((p) => p.map(round).join(" "));
    return `<path class="wire" data-from="${escaped(edge.from)}" data-to="${escaped(edge.to)}"` +
      ` d="M${start}C${rest.join(" ")}" marker-end="url(#${tip})"/>`;
  }

  // Networks beside each other, each below its name where they are several. A picture that no page
  // brings to life is `still`: it has its style within, and a name where others stand beside it.
  function drawn(viz, indices, open, still) {
    const above = indices.length > 1 ? 2 * LINE : 0;
    const tip = still?.name ? `${still.name}-tip` : "tip";
    let width = -GAP, height = 0;
    const parts = indices.map((index) => {
      const { dot, ids } = dotOf(index, open), left = width + GAP;
      const laid = laidOf(viz.renderJSON(dot), ids, left, above);
      const name = above ? index.scene.name : "";
      const [open_, closed] = [true, false].map((is) => laid.boxes.filter((b) => b.isOpen === is));
      const boxes = (list) => list.map((each) => boxOf(index, each, Boolean(still)));
      width = left + Math.max(laid.width, name.length * CHAR);
      height = Math.max(height, above + laid.height);
      return [name && text(left, LINE, name, "head"), ...boxes(open_),
        ...laid.edges.map((edge) => wireOf(edge, tip)),
        ...boxes(closed),
        ...open_.map((each) => headOf(index, each))].filter(Boolean).join("\n");
    });
    const marker = `<marker id="${tip}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="6"` +
      ' markerHeight="6" orient="auto"><path class="tip" d="M0 0L8 4L0 8z"/></marker>';
    const names = escaped(indices.map((index) => index.scene.name).join(", "));
    const w = round(width + 2 * EDGE), h = round(height + 2 * EDGE);
    const space = still?.name ? "" : ' xmlns="http://www.w3.org/2000/svg"';
    return `<svg${space} viewBox="${-EDGE} ${-EDGE} ${w} ${h}"` +
      ` width="${w}" height="${h}" class="xgraph"` +
      (still ? ` role="img" aria-label="Drawing of ${names}"` : "") + `><title>${names}</title>` +
      (still ? `<style>${still.style}</style>` : "") + `<defs>${marker}</defs>${parts.join("\n")}</svg>`;
  }

  return { MOST, indexed, opened, all, shown, drawn };
})();
